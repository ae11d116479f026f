//! Two words that tell one build of a firmware from another.

/// The build id of a firmware: the low and the high word of a hash of `label`, or of its name and version.
///
/// [`block!`](crate::block) computes it from the environment variable `HIGHWATER_BUILD_ID` at build time, and from
/// the name and version of the crate where that is not set. The hash is 64-bit FNV-1a: it keeps honest builds apart
/// and is no protection against a made-up one.
///
/// # Cost
///
/// None at run time when used in a constant.
#[must_use]
pub const fn build_id(label: Option<&str>, name: &str, version: &str) -> [u32; 2] {
    let hash = match label {
        Some(label) => fnv(FNV_OFFSET, label.as_bytes()),
        None => fnv(fnv(fnv(FNV_OFFSET, name.as_bytes()), b"@"), version.as_bytes()),
    };
    #[allow(clippy::cast_possible_truncation, reason = "the low half is wanted")]
    [hash as u32, (hash >> 32) as u32]
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(FNV_PRIME);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_goes_before_name_and_version() {
        assert_eq!(build_id(Some("a"), "demo", "1"), [0x8601_ec8c, 0xaf63_dc4c]);
        assert_eq!(build_id(None, "demo", "1"), build_id(Some("demo@1"), "", ""));
        assert_ne!(build_id(None, "demo", "1"), build_id(None, "demo", "2"));
    }
}
