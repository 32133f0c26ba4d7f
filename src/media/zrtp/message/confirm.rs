//! Confirm1, Confirm2 (RFC 6189 §5.7) and SASrelay (§5.13): both encrypted after their first 36 octets.

use super::{Malformed, Reader};

/// Octets of the encrypted part without a signature.
const CONTENT: usize = 40;
/// The signature's length has nine bits, in words.
const MAX_SIGNATURE: usize = 511 * 4;

/// As it travels. SASrelay has the same form, with other content: flags, rendering, SAS hash and signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// Over the encrypted part.
    pub mac: [u8; 8],
    /// Initialisation vector of the cipher's feedback.
    pub iv: [u8; 16],
    /// H0, flags, expiry and signature, encrypted.
    pub encrypted: Vec<u8>,
}

/// The four flags of a Confirm (RFC 6189 §5.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// E: a PBX asks the phone to enrol with it.
    pub enrollment: bool,
    /// V: the SAS was verified in an earlier session.
    pub verified: bool,
    /// A: GoClear would be allowed.
    pub allow_clear: bool,
    /// D: keys may be disclosed.
    pub disclosure: bool,
}

/// What a Confirm says.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfirmContent {
    /// Hash preimage H0.
    pub h0: [u8; 32],
    /// Flags.
    pub flags: Flags,
    /// For how many seconds the retained secret may be kept; 0xffffffff for ever, 0 not at all (§4.9).
    pub expiry: u32,
    /// Type and signature, when there is one.
    pub signature: Vec<u8>,
}

impl std::fmt::Debug for ConfirmContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfirmContent")
            .field("flags", &self.flags)
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

impl Confirm {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (mac, iv) = (reader.array()?, reader.array()?);
        let length = reader.0.len();
        if !(CONTENT..=CONTENT + MAX_SIGNATURE).contains(&length) {
            return Err(Malformed::Length);
        }
        Ok(Self {
            mac,
            iv,
            encrypted: reader.take(length)?.to_vec(),
        })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        [&self.mac[..], &self.iv, &self.encrypted].concat()
    }
}

impl ConfirmContent {
    /// Reads the decrypted part.
    ///
    /// # Errors
    /// When its length is not what its signature length says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let h0 = reader.array()?;
        let [_, high, low, flags]: [u8; 4] = reader.array()?;
        let expiry = u32::from_be_bytes(reader.array()?);
        let words = usize::from(high & 1) << 8 | usize::from(low);
        let signature = reader.take(words * 4)?.to_vec();
        if !reader.0.is_empty() {
            return Err(Malformed::Length);
        }
        Ok(Self {
            h0,
            flags: Flags {
                enrollment: flags & 8 != 0,
                verified: flags & 4 != 0,
                allow_clear: flags & 2 != 0,
                disclosure: flags & 1 != 0,
            },
            expiry,
            signature,
        })
    }

    /// The part that will be encrypted.
    pub fn encode(&self) -> Vec<u8> {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(self.flags.enrollment, 8)
            | flag(self.flags.verified, 4)
            | flag(self.flags.allow_clear, 2)
            | flag(self.flags.disclosure, 1);
        let words = (self.signature.len().min(MAX_SIGNATURE) / 4) as u16;
        let [high, low] = words.to_be_bytes();
        let mut bytes = Vec::with_capacity(CONTENT + self.signature.len());
        bytes.extend(self.h0);
        bytes.extend([0, high, low, flags]);
        bytes.extend(self.expiry.to_be_bytes());
        bytes.extend(&self.signature[..usize::from(words) * 4]);
        bytes
    }
}
