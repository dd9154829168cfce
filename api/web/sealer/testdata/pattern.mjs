/** Plaintext byte i is (i*7 + i>>8) mod 256. */
export function pattern(size) {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[i] = i * 7 + (i >> 8)
  return bytes
}
