//! Commit, in its three forms (RFC 6189 §5.4).

use super::super::{Zid, algorithm::Code};
use super::{Malformed, Reader};

/// Where the key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From a Diffie-Hellman exchange.
    Dh {
        /// Hash of the DHPart2 that will be sent and of the responder's Hello, cut to 256 bits.
        hvi: [u8; 32],
    },
    /// From an earlier stream of the same session.
    Multistream {
        /// Makes the keys fresh.
        nonce: [u8; 16],
    },
    /// From retained secrets alone.
    Preshared {
        /// Makes the keys fresh.
        nonce: [u8; 16],
        /// Which secrets.
        key_id: [u8; 8],
    },
}

/// The initiator's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Hash image H2.
    pub h2: [u8; 32],
    /// Who, as in its Hello.
    pub zid: Zid,
    /// Hash.
    pub hash: Code,
    /// Cipher.
    pub cipher: Code,
    /// SRTP authentication tag.
    pub auth_tag: Code,
    /// Key agreement; `Mult` and `Prsh` select the two other forms.
    pub key_agreement: Code,
    /// SAS rendering.
    pub sas: Code,
    /// hvi, or nonce.
    pub mode: Mode,
    /// Keyed with H1.
    pub mac: [u8; 8],
}

impl Commit {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let h2 = reader.array()?;
        let zid = reader.zid()?;
        let (hash, cipher, auth_tag) = (reader.array()?, reader.array()?, reader.array()?);
        let key_agreement: Code = reader.array()?;
        let sas = reader.array()?;
        let mode = match &key_agreement {
            b"Mult" => Mode::Multistream {
                nonce: reader.array()?,
            },
            b"Prsh" => Mode::Preshared {
                nonce: reader.array()?,
                key_id: reader.array()?,
            },
            _ => Mode::Dh { hvi: reader.array()? },
        };
        Ok(Self {
            h2,
            zid,
            hash,
            cipher,
            auth_tag,
            key_agreement,
            sas,
            mode,
            mac: reader.array()?,
        })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(104);
        bytes.extend(self.h2);
        bytes.extend(self.zid.0);
        for code in [
            self.hash,
            self.cipher,
            self.auth_tag,
            self.key_agreement,
            self.sas,
        ] {
            bytes.extend(code);
        }
        match &self.mode {
            Mode::Dh { hvi } => bytes.extend(hvi),
            Mode::Multistream { nonce } => bytes.extend(nonce),
            Mode::Preshared { nonce, key_id } => {
                bytes.extend(nonce);
                bytes.extend(key_id);
            }
        }
        bytes.extend(self.mac);
        bytes
    }
}
