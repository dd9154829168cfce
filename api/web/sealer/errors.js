/**
 * What the sealer refuses. `code` is stable and is what programs branch on;
 * the message is for a person and never holds a key or a byte of the photo.
 *
 * | code | meaning | what to do |
 * |---|---|---|
 * | `bad_argument` | an argument has the wrong type or form | fix the caller |
 * | `unsupported` | no WebCrypto, or none with Ed25519 | HTTPS page, newer browser |
 * | `keys_unavailable` | the list of upload keys could not be fetched | try again |
 * | `signature_invalid` | the list is not what the pinned key signed | do not seal; report it |
 * | `practice_mismatch` | the list is of another practice | check the enrolment |
 * | `suite_unknown` | the suite is not one of this version | pick another |
 * | `no_current_key` | no key of the suite may be sealed to now | fetch the list again, check the clock |
 * | `key_unusable` | the upload key is no key of its suite | report it |
 * | `too_large` | the photo is larger than a container holds | – |
 * | `source_truncated` | the source has fewer bytes than it said | take the photo again |
 * | `source_too_long` | the source has more bytes than it said | give the right size |
 * | `source_changed` | the source changed while it was being sealed | seal it anew |
 * | `source_unreadable` | reading the source failed; `cause` says why | try again |
 * | `source_consumed` | a stream was asked for a second pass | seal it anew, from a Blob |
 * | `not_seekable` | a slice was asked of a stream | use a Blob, or `stream()` |
 * | `range_invalid` | a slice outside of the sealed file | fix the caller |
 * | `destroyed` | the sealed file's key is gone | seal it anew |
 */
export class SealerError extends Error {
  /**
   * @param {string} code one of the table above
   * @param {string} message
   * @param {unknown} [cause] what the platform said
   */
  constructor(code, message, cause) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'SealerError'
    this.code = code
  }
}

/**
 * @param {boolean} holds
 * @param {string} code
 * @param {string} message
 * @returns {asserts holds}
 */
export function demand(holds, code, message) {
  if (!holds) throw new SealerError(code, message)
}
