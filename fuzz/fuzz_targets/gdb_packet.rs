//! Any bytes as what a GDB server sends: nothing panics, no packet is longer than was agreed, and the next whole packet is
//! found whatever came before.
#![no_main]

use highwater::source::gdb::packet::{Decoder, Incoming, from_hex};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::new(LIMIT);
    for byte in data {
        if let Some(Incoming::Packet(body)) = decoder.push(*byte) {
            assert!(body.len() <= LIMIT);
            assert!(from_hex(&body).is_none_or(|bytes| bytes.len() * 2 == body.len()));
        }
    }
    // The first may end what the input began.
    let last = b"#00$OK#9a".iter().filter_map(|byte| decoder.push(*byte)).last();
    assert_eq!(last, Some(Incoming::Packet(b"OK".to_vec())));
});
