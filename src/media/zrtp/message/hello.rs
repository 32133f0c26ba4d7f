//! Hello (RFC 6189 §5.2).

use super::super::{Zid, algorithm::Code};
use super::{Malformed, Reader, VERSION};

/// Most names in one list: the count has four bits, and the RFC allows seven.
pub(in crate::media::zrtp) const MAX_CODES: usize = 7;

/// Who sends it, and what it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// `1.10` at the time of the RFC.
    pub version: [u8; 4],
    /// Name of the software.
    pub client: [u8; 16],
    /// Hash image H3.
    pub h3: [u8; 32],
    /// Who.
    pub zid: Zid,
    /// Can check digital signatures of the SAS.
    pub signature_capable: bool,
    /// A trusted man in the middle, usually a PBX, that may send SASrelay.
    pub mitm: bool,
    /// Never sends a Commit.
    pub passive: bool,
    /// Hashes, best first; unknown ones are kept.
    pub hashes: Vec<Code>,
    /// Ciphers.
    pub ciphers: Vec<Code>,
    /// SRTP authentication tags.
    pub auth_tags: Vec<Code>,
    /// Key agreements.
    pub key_agreements: Vec<Code>,
    /// SAS renderings.
    pub sas_types: Vec<Code>,
    /// Keyed with H2.
    pub mac: [u8; 8],
}

impl Hello {
    /// Whether it is of the version that is spoken here. Who speaks a later one lowers itself when it sees our Hello
    /// (§4.1.1); an earlier one we do not speak.
    pub fn is_ours(&self) -> bool {
        self.version[..3] == VERSION[..3]
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let version = reader.array()?;
        let client = reader.array()?;
        let h3 = reader.array()?;
        let zid = reader.zid()?;
        let [flags, counts @ ..]: [u8; 4] = reader.array()?;
        let [hash, cipher_and_auth, key_and_sas] = counts;
        let mut list = |count: u8| {
            let count = usize::from(count & 0xf);
            if count > MAX_CODES {
                return Err(Malformed::Length);
            }
            (0..count)
                .map(|_| reader.array())
                .collect::<Result<Vec<Code>, _>>()
        };
        Ok(Self {
            version,
            client,
            h3,
            zid,
            signature_capable: flags & 0x40 != 0,
            mitm: flags & 0x20 != 0,
            passive: flags & 0x10 != 0,
            hashes: list(hash)?,
            ciphers: list(cipher_and_auth >> 4)?,
            auth_tags: list(cipher_and_auth)?,
            key_agreements: list(key_and_sas >> 4)?,
            sas_types: list(key_and_sas)?,
            mac: reader.array()?,
        })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let lists = [
            &self.hashes,
            &self.ciphers,
            &self.auth_tags,
            &self.key_agreements,
            &self.sas_types,
        ]
        .map(|list| &list[..list.len().min(MAX_CODES)]);
        let [hash, cipher, auth, key, sas] = lists.map(|list| list.len() as u8);
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(self.signature_capable, 0x40) | flag(self.mitm, 0x20) | flag(self.passive, 0x10);
        let mut bytes = Vec::with_capacity(76 + 4 * 5 * MAX_CODES);
        bytes.extend(self.version);
        bytes.extend(self.client);
        bytes.extend(self.h3);
        bytes.extend(self.zid.0);
        bytes.extend([flags, hash, cipher << 4 | auth, key << 4 | sas]);
        for list in lists {
            bytes.extend(list.as_flattened());
        }
        bytes.extend(self.mac);
        bytes
    }
}
