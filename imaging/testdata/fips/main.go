// Command fips does nothing but bring the FIPS module, which tests itself at the start.
package main

import _ "crypto/sha256"

func main() {}
