//! AES in CFB mode with full-block feedback (NIST SP 800-38A §6.3), which hides what a Confirm says (RFC 6189 §5.7).

use super::algorithm::Cipher;
use aes::cipher::{BlockEncrypt, KeyInit};

const BLOCK: usize = 16;

impl Cipher {
    /// Encrypts in place. The key is as long as [`Cipher::key_length`] says.
    pub(super) fn encrypt(self, key: &[u8], iv: &[u8; BLOCK], bytes: &mut [u8]) {
        self.run(key, iv, bytes, true);
    }

    /// Decrypts in place.
    pub(super) fn decrypt(self, key: &[u8], iv: &[u8; BLOCK], bytes: &mut [u8]) {
        self.run(key, iv, bytes, false);
    }

    fn run(self, key: &[u8], iv: &[u8; BLOCK], bytes: &mut [u8], encrypt: bool) {
        const LENGTH: &str = "keys are derived with the cipher's length";
        match self {
            Self::Aes1 => cfb(
                &aes::Aes128Enc::new_from_slice(key).expect(LENGTH),
                iv,
                bytes,
                encrypt,
            ),
            Self::Aes3 => cfb(
                &aes::Aes256Enc::new_from_slice(key).expect(LENGTH),
                iv,
                bytes,
                encrypt,
            ),
        }
    }
}

fn cfb<A: BlockEncrypt<BlockSize = aes::cipher::consts::U16>>(
    aes: &A,
    iv: &[u8; BLOCK],
    bytes: &mut [u8],
    encrypt: bool,
) {
    let mut feedback = *iv;
    for chunk in bytes.chunks_mut(BLOCK) {
        let mut stream = feedback;
        aes.encrypt_block((&mut stream).into());
        for ((byte, stream), feedback) in chunk.iter_mut().zip(stream).zip(&mut feedback) {
            let before = *byte;
            *byte ^= stream;
            *feedback = if encrypt { *byte } else { before };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST SP 800-38A appendix F.3.13 and F.3.17: the same plain text under both key lengths.
    #[test]
    fn it_is_nists_cfb128() {
        let plain = hex::decode(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
             30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
        )
        .unwrap();
        let iv: [u8; 16] = std::array::from_fn(|index| index as u8);
        let rows = [
            (
                Cipher::Aes1,
                "2b7e151628aed2a6abf7158809cf4f3c",
                "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b\
                 26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6",
            ),
            (
                Cipher::Aes3,
                "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
                "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b\
                 df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471",
            ),
        ];
        for (cipher, key, expected) in rows {
            let key = hex::decode(key).unwrap();
            let mut bytes = plain.clone();
            cipher.encrypt(&key, &iv, &mut bytes);
            assert_eq!(hex::encode(&bytes), expected);
            cipher.decrypt(&key, &iv, &mut bytes);
            assert_eq!(bytes, plain);
            // A part of a block at the end.
            let mut cut = plain[..41].to_vec();
            cipher.encrypt(&key, &iv, &mut cut);
            assert_eq!(hex::encode(&cut), expected[..82]);
            cipher.decrypt(&key, &iv, &mut cut);
            assert_eq!(cut, plain[..41]);
        }
    }
}
