// Writes vectors.json: Cobblestone-256 containers made from the published text
// of C2SP chunked-encryption v1, with Node's own AES-GCM and HMAC and nothing
// of photovault. Run: node generate.mjs [file, or - for standard output]
//
// A vector's plaintext is plainOf(size). Files are not in it when they are
// large, but how to make them is:
//   verdict "opens"    sealing with key, context and salt gives sealed_sha256
//   verdict "refused"  the file is sealed, if given; else the pieces, which
//                      are [from, to, byte] triples: bytes from..to of the
//                      good container of the same key, context, salt and size,
//                      the last of them XOR byte; else the frames, which are
//                      [size, number] pairs: chunks of so many bytes of the
//                      plaintext, one after the other, sealed with the right
//                      key and the nonce of that chunk number
//   open_key, open_context   what it is to be opened with, if not key, context
//   prefix             how many bytes a streaming reader may give out at most
import { createCipheriv, createHash, createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";

const CHUNK = 16384, HEADER = 56, SEALED = CHUNK + 16;
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

function derive(key, context, salt) {
  const info = Buffer.concat([
    Buffer.from("c2sp.org/chunked-encryption@v1+"), Buffer.from("AEAD_AES_256_GCM"), Buffer.from([0]), salt, context,
  ]);
  const okm = expand(key, info, 32 + 12 + 32);
  return { chunkKey: okm.subarray(0, 32), base: okm.subarray(32, 44), commitment: okm.subarray(44) };
}

function sealFrames(key, context, salt, plain, frames) {
  const { chunkKey, base, commitment } = derive(key, context, salt);
  const parts = [salt, commitment];
  let at = 0;
  for (const [size, number] of frames) {
    const nonce = Buffer.from(base);
    const counter = Buffer.alloc(12);
    counter.writeBigUInt64BE(BigInt(number), 4);
    for (let i = 0; i < 12; i++) nonce[i] ^= counter[i];
    const c = createCipheriv("aes-256-gcm", chunkKey, nonce);
    parts.push(c.update(plain.subarray(at, at + size)), c.final(), c.getAuthTag());
    at += size;
  }
  return Buffer.concat(parts);
}

function canonical(size) {
  const frames = [];
  for (let n = 0; ; n++) {
    const chunk = Math.min(CHUNK, size - n * CHUNK);
    frames.push([chunk, n]);
    if (chunk < CHUNK) return frames;
  }
}

const seal = (key, context, salt, plain) => sealFrames(key, context, salt, plain, canonical(plain.length));
const plainOf = (n) => { const b = Buffer.alloc(n); for (let i = 0; i < n; i++) b[i] = (i * 31 + (i >> 8) * 17 + 7) & 0xff; return b; };
const hex = (b) => b.toString("hex");
const seed = (what, n) => createHash("sha256").update(`${what} ${n}`).digest();
const contexts = { empty: Buffer.alloc(0), short: Buffer.from("context"), long: Buffer.from(Array.from({ length: 300 }, (_, i) => i & 0xff)) };
const vectors = [];
let n = 0;
for (const size of [0, 1, 16383, 16384, 16385, 49152, 5 << 20]) {
  for (const [name, context] of Object.entries(contexts)) {
    const key = seed("key", n), salt = seed("salt", n).subarray(0, 24);
    const sealed = seal(key, context, salt, plainOf(size));
    const v = { name: `${size} bytes, ${name} context`, verdict: "opens", size, key: hex(key), context: hex(context),
      salt: hex(salt), sealed_size: sealed.length, sealed_sha256: sha256(sealed) };
    if (size <= 1) v.sealed = hex(sealed);
    vectors.push(v);
    if (size === 1) {
      for (const [what, bad] of [
        ["commitment changed", Buffer.concat([sealed.subarray(0, 30), Buffer.from([sealed[30] ^ 1]), sealed.subarray(31)])],
        ["tag changed", Buffer.concat([sealed.subarray(0, -1), Buffer.from([sealed.at(-1) ^ 1])])],
        ["one byte short", sealed.subarray(0, -1)],
        ["one byte long", Buffer.concat([sealed, Buffer.from([0])])],
        ["header only", sealed.subarray(0, 56)],
      ]) vectors.push({ ...v, name: `${v.name}, ${what}`, verdict: "refused", sealed: hex(bad), sealed_size: bad.length, sealed_sha256: sha256(bad), prefix: 0 });
    }
    n++;
  }
}

// What is refused of larger containers.
const context = contexts.short;
function refused(size, what, prefix, make) {
  const key = seed("key", n), salt = seed("salt", n).subarray(0, 24);
  n++;
  const good = seal(key, context, salt, plainOf(size));
  const v = { name: `${size} bytes, ${what}`, verdict: "refused", size, key: hex(key), context: hex(context), salt: hex(salt), ...make };
  let bad = good;
  if (make.pieces) bad = Buffer.concat(make.pieces.map(([from, to, flip]) => { const b = Buffer.from(good.subarray(from, to)); if (b.length) b[b.length - 1] ^= flip; return b; }));
  if (make.frames) bad = sealFrames(key, context, salt, plainOf(size), make.frames);
  vectors.push({ ...v, sealed_size: bad.length, sealed_sha256: sha256(bad), prefix });
}
const three = 3 * CHUNK; // chunks 0, 1, 2, and an empty one
const end = HEADER + 3 * SEALED + 16;
const header = [0, HEADER, 0], chunk = (k) => [HEADER + k * SEALED, Math.min(end, HEADER + (k + 1) * SEALED), 0];
for (const [what, prefix, pieces] of [
  ["two chunks swapped", 0, [header, chunk(1), chunk(0), chunk(2), chunk(3)]],
  ["the first chunk twice", CHUNK, [header, chunk(0), chunk(0), chunk(1), chunk(2), chunk(3)]],
  ["a chunk dropped", CHUNK, [header, chunk(0), chunk(2), chunk(3)]],
  ["the last, empty chunk dropped", three, [header, chunk(0), chunk(1), chunk(2)]],
  ["all but the last chunk dropped", 0, [header, chunk(3)]],
  ["the last chunk twice", three, [header, chunk(0), chunk(1), chunk(2), chunk(3), chunk(3)]],
  ["a bit of the second chunk's tag flipped", CHUNK, [[0, HEADER + 2 * SEALED, 1], [HEADER + 2 * SEALED, end, 0]]],
  ["a bit of the third chunk flipped", 2 * CHUNK, [[0, HEADER + 2 * SEALED + 100, 128], [HEADER + 2 * SEALED + 100, end, 0]]],
  ["cut within a chunk", 2 * CHUNK, [[0, HEADER + 2 * SEALED + 5000, 0]]],
  ["cut within the last tag", three, [[0, end - 1, 0]]],
]) refused(three, what, prefix, { pieces });
for (const [what, size, prefix, frames] of [
  // Made with the right key, by a sealer that frames otherwise.
  ["a short chunk that is not the last", 100 + 50, 0, [[100, 0], [50, 1]]],
  ["an empty chunk behind a short last one", 100, 0, [[100, 0], [0, 1]]],
  ["a full chunk as the last", CHUNK, CHUNK, [[CHUNK, 0]]],
  ["a chunk that is too large", CHUNK + 1, 0, [[CHUNK + 1, 0]]],
  ["a chunk one byte short", CHUNK, 0, [[CHUNK - 1, 0], [1, 1]]],
  ["chunks numbered from one", 100, 0, [[100, 1]]],
  ["a number left out", CHUNK + 5, CHUNK, [[CHUNK, 0], [5, 2]]],
  ["a number used twice", CHUNK + 5, CHUNK, [[CHUNK, 0], [5, 0]]],
  ["no chunk at all", 0, 0, []],
]) refused(size, what, prefix, { frames });
refused(1, "another key", 0, { open_key: hex(seed("another key", 0)) });
refused(1, "another context", 0, { open_context: hex(Buffer.from("Context")) });
refused(1, "no context", 0, { open_context: "" });
refused(1, "a longer context", 0, { open_context: hex(Buffer.from("context\0")) });

const text = JSON.stringify(vectors, null, 1) + "\n";
if (process.argv[2] === "-") process.stdout.write(text);
else writeFileSync(process.argv[2] ?? new URL("vectors.json", import.meta.url), text);
