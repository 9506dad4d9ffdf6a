"""A local AWS that takes KMS seriously: moto's server behind a layer with the rules moto lacks.

Two accounts (platform and customer), real key policies, real error codes and texts. Product code never imports this
package: it only ever meets it as an endpoint URL.
"""
