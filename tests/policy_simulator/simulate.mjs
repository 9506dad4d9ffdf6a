// Reads lines from standard input, each a key policy with calls, and prints IAM Simulate's decision on every call.
//
// IAM Simulate is licensed under the AGPL. This program is used only in tests and never delivered; it runs in its own
// process, and no byok code imports it. `make test` installs its packages in the working directory.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const installed = createRequire(`${process.cwd()}/`)
const { createValidatedPolicy, validateIdentityPolicy, validateResourcePolicy } = installed('@cloud-copilot/iam-policy')
const { runUnsafeSimulation } = installed('@cloud-copilot/iam-simulate')

// The validating simulation drops context keys that are not in its own lists, such as kms:EncryptionContext with a name.
// So the policies are validated here, and the unchecked simulation runs them.
function effect(keyPolicy, identityPolicies, owner, { principal, action, resource, context }) {
  return runUnsafeSimulation({
    request: { principal, action, resource: { resource, accountId: owner }, contextVariables: context },
    resourcePolicy: keyPolicy,
    identityPolicies: identityPolicies.map((policy) => ({ name: policy.metadata.name, policy })),
    serviceControlPolicies: [],
    resourceControlPolicies: []
  })
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line)
  const key = createValidatedPolicy(asked.keyPolicy, validateResourcePolicy, { name: 'key' })
  const identity = asked.identityPolicies.map((policy, index) =>
    createValidatedPolicy(policy, validateIdentityPolicy, { name: `identity ${index}` })
  )
  const answer = {
    faults: [key, ...identity].flatMap(({ errors }) => errors),
    effects: asked.calls.map((call) => effect(key, identity, asked.owner, call))
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
