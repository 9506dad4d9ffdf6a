// Answers each line of standard input, a key policy with calls, with a line: what IAM Simulate says of every call.
//
// IAM Simulate is under the AGPL. This program is a test's and is never delivered; it runs in a process of its own, and
// nothing of ours imports it. Its packages are in the working directory, where `make test` installs them.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const installed = createRequire(`${process.cwd()}/`)
const { createValidatedPolicy, validateIdentityPolicy, validateResourcePolicy } = installed('@cloud-copilot/iam-policy')
const { runUnsafeSimulation } = installed('@cloud-copilot/iam-simulate')

// The simulation that checks its input drops context keys which its own lists do not have, such as
// kms:EncryptionContext with a name; so the policies are checked here, and the simulation is the one without checks.
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
