# What the key officer may do with transit/…/photovault: see its versions, make
# a new one, and erase old ones. It opens no wrapped key, and cannot export,
# back up or delete the transit key, nor make it exportable or deletable.

path "transit/keys/photovault" {
  capabilities = ["read"]
}

path "transit/keys/photovault/rotate" {
  capabilities      = ["update"]
  denied_parameters = { "managed_key_name" = [], "managed_key_id" = [] }
}

path "transit/keys/photovault/config" {
  capabilities       = ["update"]
  allowed_parameters = { "min_decryption_version" = [], "min_encryption_version" = [] }
}

path "transit/keys/photovault/trim" {
  capabilities       = ["update"]
  allowed_parameters = { "min_available_version" = [] }
}

# Its own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
