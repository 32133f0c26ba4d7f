//! HMAC-SHA1 (RFC 2104) with both pads hashed once per key: a tag costs the message's own blocks and one more.

use sha1::block_api::compress;
use zeroize::Zeroize;

/// Octets behind a message that are spoiled when it is hashed: suffix, one bit, length, and up to the block's end.
pub(super) const PADDING: usize = 80;
/// Octets of SHA-1's block.
const BLOCK: usize = 64;
/// SHA-1's initial state (FIPS 180-4 §5.3.1).
const INITIAL: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// A key, as the states after its pads.
pub(super) struct HmacSha1 {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl HmacSha1 {
    /// Takes a key of at most 64 octets; SRTP's have 20.
    pub(super) fn new(key: &[u8; 20]) -> Self {
        let pad = |octet: u8| {
            let mut block = [octet; BLOCK];
            for (padded, key) in block.iter_mut().zip(key) {
                *padded ^= key;
            }
            let mut state = INITIAL;
            compress(&mut state, &[block]);
            block.zeroize();
            state
        };
        Self {
            inner: pad(0x36),
            outer: pad(0x5c),
        }
    }

    /// The tag of the first `length` octets of `buffer` followed by `suffix`: a rollover counter or nothing.
    ///
    /// What SHA-1 puts behind a message is written where it belongs, so that the message is hashed where it lies:
    /// [`PADDING`] octets behind it are spoiled. `None`: there are not that many.
    #[inline]
    pub(super) fn tag<const SUFFIX: usize>(
        &self,
        buffer: &mut [u8],
        length: usize,
        suffix: [u8; SUFFIX],
    ) -> Option<[u8; 20]> {
        const {
            assert!(
                SUFFIX + 9 + BLOCK - 1 <= PADDING,
                "the padding has room for a rollover counter"
            )
        };
        let padding = buffer.get_mut(length..)?.first_chunk_mut::<PADDING>()?;
        *padding = [0; PADDING];
        padding[..SUFFIX].copy_from_slice(&suffix);
        padding[SUFFIX] = 0x80;
        let (blocks, _) = buffer.as_chunks_mut::<BLOCK>();
        let blocks = blocks.get_mut(..=(length + SUFFIX + 8) / BLOCK)?;
        let bits = 8 * (BLOCK + length + SUFFIX) as u64;
        *blocks.last_mut()?.last_chunk_mut()? = bits.to_be_bytes();

        let mut state = self.inner;
        compress(&mut state, blocks);
        let mut block = OUTER;
        write(&state, &mut block);
        let mut state = self.outer;
        compress(&mut state, &[block]);
        let mut tag = [0; 20];
        write(&state, &mut tag);
        Some(tag)
    }
}

/// The outer block but for the inner hash, which stands before it.
const OUTER: [u8; BLOCK] = {
    let mut block = [0; BLOCK];
    block[20] = 0x80;
    let [.., high, low] = (8 * (BLOCK as u64 + 20)).to_be_bytes();
    block[BLOCK - 2] = high;
    block[BLOCK - 1] = low;
    block
};

/// Writes a state, big-endian.
#[inline]
fn write(state: &[u32; 5], octets: &mut [u8]) {
    let [a, b, c, d, e] = *state;
    // Four words at once: what is read back at once must have been written at once.
    octets[..16].copy_from_slice([a, b, c, d].map(u32::to_be_bytes).as_flattened());
    octets[16..20].copy_from_slice(&e.to_be_bytes());
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha1::{Digest, Sha1};

    /// RFC 2104 by the book.
    fn reference(key: &[u8; 20], message: &[u8]) -> [u8; 20] {
        let pad = |octet: u8| {
            let mut block = [octet; BLOCK];
            block.iter_mut().zip(key).for_each(|(padded, key)| *padded ^= key);
            block
        };
        let inner = Sha1::new()
            .chain_update(pad(0x36))
            .chain_update(message)
            .finalize();
        Sha1::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize()
            .into()
    }

    #[test]
    fn rfc_2202_case_1() {
        let mut buffer = [&b"Hi There"[..], &[0; PADDING]].concat();
        let tag = HmacSha1::new(&[0x0b; 20])
            .tag(&mut buffer, 8, [])
            .expect("room for the padding");
        assert_eq!(hex::encode(tag), "b617318655057264e28bc0b6fb378c8ef146be00");
    }

    #[test]
    fn without_room_for_the_padding_there_is_no_tag() {
        let hmac = HmacSha1::new(&[1; 20]);
        assert_eq!(hmac.tag(&mut [0; PADDING + 4], 5, []), None);
        assert_eq!(hmac.tag(&mut [0; 4], 5, []), None);
    }

    #[test]
    fn every_length_over_four_blocks_agrees_with_the_definition() {
        fn agrees<const SUFFIX: usize>(message: &[u8], suffix: [u8; SUFFIX]) {
            let key = [0xa5; 20];
            let whole = [message, &suffix].concat();
            let mut buffer = [message, &[0xff; PADDING]].concat();
            let tag = HmacSha1::new(&key).tag(&mut buffer, message.len(), suffix);
            assert_eq!(
                tag,
                Some(reference(&key, &whole)),
                "{} and {SUFFIX}",
                message.len()
            );
            assert_eq!(&buffer[..message.len()], message);
        }
        let message: Vec<u8> = (0..=255).collect();
        for length in 0..=message.len() {
            agrees(&message[..length], []);
            agrees(&message[..length], [9; 4]);
            agrees(&message[..length], [9; 8]);
        }
    }
}
