# What the running photovault may do with transit/…/photovault: make a data
# key, unwrap one, rewrap a batch, read the key's configuration. It cannot
# rotate, configure, trim, export, back up or delete, nor touch another key.

path "transit/datakey/plaintext/photovault" {
  capabilities       = ["update"]
  allowed_parameters = { "context" = [] }
}

# One wrapped key at a time.
path "transit/decrypt/photovault" {
  capabilities       = ["update"]
  allowed_parameters = { "ciphertext" = [], "context" = [] }
}

path "transit/rewrap/photovault" {
  capabilities       = ["update"]
  allowed_parameters = { "batch_input" = [] }
}

path "transit/keys/photovault" {
  capabilities = ["read"]
}

# Its own token. The role leaves the default policy out.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
