//! The algorithms that are negotiated (RFC 6189 §5.1.2–§5.1.6), by their names of four characters.

use super::super::Suite;

/// A name as it stands in Hello and Commit.
pub type Code = [u8; 4];

/// A family of algorithms: what we know of it, and how it is written.
pub trait Algorithm: Copy + PartialEq + Sized + 'static {
    /// All that we know.
    const KNOWN: &'static [Self];
    /// What every endpoint has, whether its Hello names it or not (RFC 6189 §5.1.2–§5.1.6).
    const MANDATORY: &'static [Self];

    /// Its name on the wire.
    fn code(self) -> Code;

    /// The one with that name.
    fn from_code(code: Code) -> Option<Self> {
        Self::KNOWN.iter().copied().find(|known| known.code() == code)
    }
}

macro_rules! algorithms {
    ($(#[$doc:meta])* $family:ident, mandatory [$($mandatory:ident),*], { $($(#[$what:meta])* $name:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $family {
            $($(#[$what])* $name,)*
        }

        impl Algorithm for $family {
            const KNOWN: &'static [Self] = &[$(Self::$name),*];
            const MANDATORY: &'static [Self] = &[$(Self::$mandatory),*];

            fn code(self) -> Code {
                match self {
                    $(Self::$name => *$code,)*
                }
            }
        }

        impl std::fmt::Display for $family {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let code = self.code();
                f.pad(std::str::from_utf8(&code).unwrap_or_default().trim_end())
            }
        }
    };
}

algorithms! {
    /// Hash of the key derivation and its HMAC (RFC 6189 §5.1.2). The hash chain and the messages' own MACs always use S256.
    Hash, mandatory [S256], {
        /// SHA-256
        S256 = b"S256",
        /// SHA-384
        S384 = b"S384",
    }
}

algorithms! {
    /// Cipher of Confirm messages and of SRTP (RFC 6189 §5.1.3).
    Cipher, mandatory [Aes1], {
        /// AES with keys of 128 bits.
        Aes1 = b"AES1",
        /// AES with keys of 256 bits.
        Aes3 = b"AES3",
    }
}

algorithms! {
    /// Authentication tag of SRTP (RFC 6189 §5.1.4).
    AuthTag, mandatory [Hs32, Hs80], {
        /// HMAC-SHA1, 32 bits.
        Hs32 = b"HS32",
        /// HMAC-SHA1, 80 bits.
        Hs80 = b"HS80",
    }
}

algorithms! {
    /// Key agreement (RFC 6189 §5.1.5). In the order of §4.1.2: the faster first.
    KeyAgreement, mandatory [Dh3k], {
        /// Diffie-Hellman modulo the prime of 2048 bits (RFC 3526 §3).
        Dh2k = b"DH2k",
        /// X25519 (RFC 7748), as Linphone has it.
        X255 = b"X255",
        /// P-256.
        Ec25 = b"EC25",
        /// X448 (RFC 7748), as Linphone has it.
        X448 = b"X448",
        /// Diffie-Hellman modulo the prime of 3072 bits (RFC 3526 §4).
        Dh3k = b"DH3k",
        /// P-384.
        Ec38 = b"EC38",
        /// Multistream: keys from an earlier stream of the same session (§4.4.3).
        Mult = b"Mult",
    }
}

algorithms! {
    /// How the Short Authentication String is shown (RFC 6189 §5.1.6).
    SasType, mandatory [B32], {
        /// Four characters.
        B32 = b"B32 ",
        /// Two words of the PGP word list.
        B256 = b"B256",
    }
}

impl Cipher {
    /// Octets of its key.
    pub const fn key_length(self) -> usize {
        match self {
            Self::Aes1 => 16,
            Self::Aes3 => 32,
        }
    }
}

impl KeyAgreement {
    /// Octets of a public value, pvi or pvr; none in Multistream mode.
    pub const fn public_length(self) -> usize {
        match self {
            Self::Dh2k => 256,
            Self::Dh3k => 384,
            Self::X255 => 32,
            Self::Ec25 => 64,
            Self::X448 => 56,
            Self::Ec38 => 96,
            Self::Mult => 0,
        }
    }
}

/// What a Commit decides (RFC 6189 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Hash.
    pub hash: Hash,
    /// Cipher.
    pub cipher: Cipher,
    /// SRTP authentication tag.
    pub auth_tag: AuthTag,
    /// Key agreement.
    pub key_agreement: KeyAgreement,
    /// How the SAS is shown.
    pub sas: SasType,
}

impl Choice {
    /// The SRTP suite that cipher and tag make (RFC 6189 §6; RFC 3711, RFC 6188).
    pub const fn suite(self) -> Suite {
        match (self.cipher, self.auth_tag) {
            (Cipher::Aes1, AuthTag::Hs80) => Suite::AesCm128HmacSha1_80,
            (Cipher::Aes1, AuthTag::Hs32) => Suite::AesCm128HmacSha1_32,
            (Cipher::Aes3, AuthTag::Hs80) => Suite::AesCm256HmacSha1_80,
            (Cipher::Aes3, AuthTag::Hs32) => Suite::AesCm256HmacSha1_32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back<A: Algorithm + std::fmt::Debug>() {
        for known in A::KNOWN {
            assert_eq!(A::from_code(known.code()), Some(*known));
        }
        assert_eq!(A::from_code(*b"none"), None);
        assert!(A::MANDATORY.iter().all(|needed| A::KNOWN.contains(needed)));
    }

    #[test]
    fn every_name_is_read_back() {
        read_back::<Hash>();
        read_back::<Cipher>();
        read_back::<AuthTag>();
        read_back::<KeyAgreement>();
        read_back::<SasType>();
        assert_eq!(SasType::B32.to_string(), "B32");
    }

    #[test]
    fn keys_are_as_long_as_the_suite_says() {
        for cipher in Cipher::KNOWN.iter().copied() {
            for auth_tag in AuthTag::KNOWN.iter().copied() {
                let choice = Choice {
                    hash: Hash::S256,
                    cipher,
                    auth_tag,
                    key_agreement: KeyAgreement::X255,
                    sas: SasType::B32,
                };
                assert_eq!(choice.suite().key_length(), cipher.key_length());
                assert_eq!(choice.suite().salt_length(), 14);
            }
        }
    }
}
