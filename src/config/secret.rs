//! The network secret: from a file that only its owner can read, or from the
//! environment. It never appears in an error, a log or on a screen.

use std::path::Path;

use zeroize::Zeroizing;

use crate::core::token::{TOKEN_LEN, Token};
use crate::files::{Unfit, read};
use crate::node::options::NetworkSecret;

/// Longer than a token with some white space is not a secret of ours.
const FILE_MAX: u64 = 512;

const RULE: &str = "it must be 32 bytes as 64 hex digits";

/// From 64 hex digits.
pub(super) fn from_hex(text: &str) -> Result<NetworkSecret, String> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(text.trim(), bytes.as_mut()).map_err(|_| RULE.to_owned())?;
    Ok(NetworkSecret::new(*bytes))
}

/// From a file with 32 raw bytes or 64 hex digits.
pub(super) fn from_file(path: &Path) -> Result<NetworkSecret, String> {
    parse(&read_private(path)?).map_err(|e| format!("{}: {e}", path.display()))
}

/// A registry's token: from a file that only its owner can read, or from the
/// environment's text, but not from both.
///
/// # Errors
/// Why there is none, though one was given. Never the token or a part of it.
pub fn registry_token(file: Option<&Path>, variable: Option<&str>) -> Result<Option<Token>, String> {
    let rule = || format!("it must be {} to {} visible characters", TOKEN_LEN.start(), TOKEN_LEN.end());
    match (file, variable) {
        (None, None) => Ok(None),
        (_, Some(text)) => Token::new(text).map(Some).ok_or_else(rule),
        (Some(path), None) => {
            let bytes = read_private(path)?;
            let token = std::str::from_utf8(&bytes).ok().and_then(Token::new);
            token.map(Some).ok_or_else(|| format!("{}: {}", path.display(), rule()))
        }
    }
}

fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    read::private(path, FILE_MAX).map_err(|error| {
        let cure = match Unfit::of(&error) {
            Some(Unfit::ReadableByOthers { .. }) => ": chmod 600 it, and make a new secret",
            _ => "",
        };
        format!("{}: {error}{cure}", path.display())
    })
}

fn parse(bytes: &[u8]) -> Result<NetworkSecret, String> {
    if let Ok(raw) = <[u8; 32]>::try_from(bytes) {
        // 32 random bytes are all printable once in 10^13 times; a pass phrase
        // or half of the hex digits always are.
        if raw.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) {
            return Err(format!("this is text of 32 characters; {RULE}, or 32 random bytes"));
        }
        return Ok(NetworkSecret::new(raw));
    }
    std::str::from_utf8(bytes).map_err(|_| format!("{RULE}, or 32 bytes raw")).and_then(from_hex)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_secret_is_32_raw_bytes_or_64_hex_digits() {
        let raw: Vec<u8> = (100..132).collect();
        let digits = format!("{}\n", hex::encode(&raw));
        let expected = NetworkSecret::new(raw.clone().try_into().unwrap());
        for bytes in [raw.as_slice(), digits.as_bytes()] {
            let (_dir, path) = file(bytes, 0o600);
            assert!(from_file(&path).unwrap() == expected);
        }
        assert!(from_hex(&digits).unwrap() == expected);
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        for mode in [0o640, 0o604, 0o666] {
            let (_dir, path) = file(&[200; 32], mode);
            let why = from_file(&path).unwrap_err();
            assert!(why.contains("chmod 600") && why.contains(path.to_str().unwrap()), "{why}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_repeated() {
        for bytes in [&b""[..], b"short", &[b'a'; 32], &[b'f'; 63], &[200; 33], &[b'0'; 1000]] {
            let (_dir, path) = file(bytes, 0o600);
            let why = from_file(&path).unwrap_err().replace(path.to_str().unwrap(), "");
            assert!(!why.contains("short") && !why.contains("ffff") && !why.contains("0000"), "{why}");
        }
        assert!(!from_hex("deadbeef").unwrap_err().contains("dead"));
        assert!(from_file(Path::new("/")).is_err());
        assert!(from_file(Path::new("/no/such/file")).is_err());
    }
}
