storage "file" { path = "/openbao/file" }
listener "tcp" {
  address         = "0.0.0.0:8200"
  tls_cert_file   = "/etc/openbao/transit.pem"
  tls_key_file    = "/run/secrets/transit.key"
  tls_min_version = "tls12"
}
api_addr      = "https://transit:8200"
disable_mlock = true
ui            = false
