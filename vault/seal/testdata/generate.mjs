// Writes vectors.json: Cobblestone-256 containers made from the published text
// of C2SP chunked-encryption v1, with Node's own AES-GCM and HMAC and nothing
// of photovault. Run: node generate.mjs
import { createCipheriv, createHash, createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";

const CHUNK = 16384;
const sha256 = (b) => createHash("sha256").update(b).digest("hex");

// RFC 5869 §2.3 with SHA-512
function expand(prk, info, length) {
  let out = Buffer.alloc(0), t = Buffer.alloc(0);
  for (let i = 1; out.length < length; i++) {
    t = createHmac("sha512", prk).update(t).update(info).update(Buffer.from([i])).digest();
    out = Buffer.concat([out, t]);
  }
  return out.subarray(0, length);
}

function seal(key, context, salt, plain) {
  const info = Buffer.concat([
    Buffer.from("c2sp.org/chunked-encryption@v1+"), Buffer.from("AEAD_AES_256_GCM"), Buffer.from([0]), salt, context,
  ]);
  const okm = expand(key, info, 32 + 12 + 32);
  const chunkKey = okm.subarray(0, 32), base = okm.subarray(32, 44), commitment = okm.subarray(44);
  const parts = [salt, commitment];
  for (let n = 0; ; n++) {
    const chunk = plain.subarray(n * CHUNK, (n + 1) * CHUNK);
    const nonce = Buffer.from(base);
    const counter = Buffer.alloc(12);
    counter.writeBigUInt64BE(BigInt(n), 4);
    for (let i = 0; i < 12; i++) nonce[i] ^= counter[i];
    const c = createCipheriv("aes-256-gcm", chunkKey, nonce);
    parts.push(c.update(chunk), c.final(), c.getAuthTag());
    if (chunk.length < CHUNK) return Buffer.concat(parts);
  }
}

const plainOf = (n) => { const b = Buffer.alloc(n); for (let i = 0; i < n; i++) b[i] = (i * 31 + (i >> 8) * 17 + 7) & 0xff; return b; };
const contexts = { empty: Buffer.alloc(0), short: Buffer.from("context"), long: Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0xff)) };
const vectors = [];
let n = 0;
for (const size of [0, 1, 16383, 16384, 16385, 49152, 5 << 20]) {
  for (const [name, context] of Object.entries(contexts)) {
    const key = createHash("sha256").update(`key ${n}`).digest();
    const salt = createHash("sha256").update(`salt ${n}`).digest().subarray(0, 24);
    const sealed = seal(key, context, salt, plainOf(size));
    const v = { name: `${size} bytes, ${name} context`, verdict: "opens", size, key: key.toString("hex"), context: context.toString("hex"),
      salt: salt.toString("hex"), sealed_size: sealed.length, sealed_sha256: sha256(sealed) };
    if (size <= 1) v.sealed = sealed.toString("hex");
    vectors.push(v);
    if (size === 1) {
      for (const [what, bad] of [
        ["commitment changed", Buffer.concat([sealed.subarray(0, 30), Buffer.from([sealed[30] ^ 1]), sealed.subarray(31)])],
        ["tag changed", Buffer.concat([sealed.subarray(0, -1), Buffer.from([sealed.at(-1) ^ 1])])],
        ["one byte short", sealed.subarray(0, -1)],
        ["one byte long", Buffer.concat([sealed, Buffer.from([0])])],
        ["header only", sealed.subarray(0, 56)],
      ]) vectors.push({ ...v, name: `${v.name}, ${what}`, verdict: "refused", sealed: bad.toString("hex"), sealed_size: bad.length, sealed_sha256: sha256(bad) });
    }
    n++;
  }
}
writeFileSync(new URL("vectors.json", import.meta.url), JSON.stringify(vectors, null, 1) + "\n");
