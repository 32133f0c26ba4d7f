//! SRTP crypto suites (RFC 4568 §6.2, RFC 6188, RFC 7714).

/// A crypto suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`
    AesCm128HmacSha1_32,
    /// `AES_256_CM_HMAC_SHA1_80` (RFC 6188); `AES_CM_256_HMAC_SHA1_80` is read too.
    AesCm256HmacSha1_80,
    /// `AES_256_CM_HMAC_SHA1_32`
    AesCm256HmacSha1_32,
    /// `AEAD_AES_128_GCM`
    AeadAes128Gcm,
    /// `AEAD_AES_256_GCM`
    AeadAes256Gcm,
}
