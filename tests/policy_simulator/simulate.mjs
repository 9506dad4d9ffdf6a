// Reads one request per line from standard input: policies and calls. Prints IAM Simulate's decision on every call.
//
// IAM Simulate is licensed under the AGPL. This program is used only in tests, and is not part of any release. It runs
// in a separate process, and no byok code imports it. `make test` installs the npm packages in the working directory.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const installed = createRequire(`${process.cwd()}/`)
const { createValidatedPolicy, validateIdentityPolicy, validateResourcePolicy } = installed('@cloud-copilot/iam-policy')
const { runUnsafeSimulation } = installed('@cloud-copilot/iam-simulate')

// IAM Simulate's validating function drops context keys that it does not know, such as kms:EncryptionContext with a
// name. This program therefore validates the policies first, and then calls the function that does not validate.
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
