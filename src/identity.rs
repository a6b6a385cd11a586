//! The node's identity on disk: one key file in the data directory, made on
//! the first start and the same ever after.
//!
//! It never overwrites a key file and never starts with a key that is not on
//! disk. It knows no cryptography but a checksum: how a pair is made and
//! checked is handed in.
//!
//! The file: `punchkey`, a version byte, the lengths of both halves (u32,
//! big-endian), the public and the secret half, and the SHA-256 of all before.
//! The checksum finds damage in the parts of a secret key that signing does not
//! exercise.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use crate::files::{Unfit, ours, read};
use crate::node::disk;
pub use crate::node::keys::{KeyBytes, KeyError};

/// The key's file name in the data directory.
pub const KEY_FILE: &str = "identity.key";

const MAGIC: &[u8; 8] = b"punchkey";
const VERSION: u8 = 1;
const HEADER_LEN: usize = MAGIC.len() + 1 + 4 + 4;
/// No key of ours comes near this (an ML-DSA-65 pair has 5 984 bytes); what is
/// longer is not read to its end.
const FILE_MAX: u64 = 64 * 1024;

/// Why there is no identity to start with. Each names the path.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The key file is there and cannot be read.
    #[error("the key file {} cannot be read: {source}", path.display())]
    Read {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key file could not be written; nothing was started without it.
    #[error("the new key cannot be written to {}: {source}", path.display())]
    Write {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key file is not what we wrote.
    #[error(
        "the key file {} is damaged ({why}); put a backup in its place, or move it away to start as a new peer",
        path.display()
    )]
    Damaged {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Others may read the key. It is not made right silently: whether the
    /// key has already leaked is for the operator to judge.
    #[error(
        "the key file {} may be read by others (mode {mode:04o}): if nobody else has it, chmod 600 it; else move it away to start as a new peer",
        path.display()
    )]
    ReadableByOthers {
        /// The key file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Others may put another key in its place.
    #[error(
        "the data directory {} may be written by others (mode {mode:04o}): chmod 700 it, or choose another",
        dir.display()
    )]
    DirectoryWritableByOthers {
        /// The data directory.
        dir: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// No key pair could be made.
    #[error("no key pair could be made: {0}")]
    Generate(KeyError),
}

/// An identity, and whether it is new.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The key pair.
    pub keys: KeyBytes,
    /// Made by this very start.
    pub created: bool,
}

/// Loads the key pair of a data directory, or makes it on the first start.
///
/// `check` tells whether the halves belong together; a pair that it refuses is
/// a damaged file. See [`node::keys`](crate::node::keys) for both functions.
///
/// # Errors
/// See [`IdentityError`]. Nothing was overwritten then, and no key made that is
/// not on disk.
pub fn load_or_create(
    dir: &Path,
    generate: impl FnOnce() -> Result<KeyBytes, KeyError>,
    check: impl Fn(&KeyBytes) -> Result<(), KeyError>,
) -> Result<Identity, IdentityError> {
    let path = dir.join(KEY_FILE);
    let write = |source| IdentityError::Write { path: path.clone(), source };
    disk::create_private_dir(dir).map_err(write)?;
    check_dir(dir)?;
    if let Some(keys) = load(&path, &check)? {
        return Ok(Identity { keys, created: false });
    }
    let keys = generate().map_err(IdentityError::Generate)?;
    match disk::write_new(&path, &encode(&keys), disk::FILE_MODE) {
        Ok(()) => {}
        // Somebody else's first start was faster: that one is the identity.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(write(e)),
    }
    // What counts is what the next start will read.
    match load(&path, &check)? {
        Some(read) => Ok(Identity { created: read == keys, keys: read }),
        None => Err(write(ErrorKind::NotFound.into())),
    }
}

fn load(
    path: &Path,
    check: impl Fn(&KeyBytes) -> Result<(), KeyError>,
) -> Result<Option<KeyBytes>, IdentityError> {
    let damaged = |why: String| IdentityError::Damaged { path: path.to_owned(), why };
    let bytes = match read::private(path, FILE_MAX) {
        Ok(bytes) => bytes,
        // A dangling link is no first start: writing through it is not ours.
        Err(e) if e.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => return Ok(None),
        Err(source) => {
            return Err(match Unfit::of(&source) {
                Some(Unfit::ReadableByOthers { mode }) => {
                    IdentityError::ReadableByOthers { path: path.to_owned(), mode }
                }
                Some(why) => damaged(why.to_string()),
                None => IdentityError::Read { path: path.to_owned(), source },
            });
        }
    };
    let keys = decode(&bytes).map_err(|why| damaged(why.to_owned()))?;
    check(&keys).map_err(|e| damaged(e.to_string()))?;
    Ok(Some(keys))
}

fn check_dir(dir: &Path) -> Result<(), IdentityError> {
    ours::check_dir(dir).map_err(|source| match Unfit::of(&source) {
        Some(Unfit::WritableByOthers { mode }) => {
            IdentityError::DirectoryWritableByOthers { dir: dir.to_owned(), mode }
        }
        _ => IdentityError::Read { path: dir.to_owned(), source },
    })
}

fn encode(keys: &KeyBytes) -> Zeroizing<Vec<u8>> {
    // Reserved whole, so that the secret is not left behind in a smaller
    // allocation.
    let mut out = Zeroizing::new(Vec::with_capacity(
        HEADER_LEN + keys.public.len() + keys.secret.len() + digest::SHA256_OUTPUT_LEN,
    ));
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&(keys.public.len() as u32).to_be_bytes());
    out.extend_from_slice(&(keys.secret.len() as u32).to_be_bytes());
    out.extend_from_slice(&keys.public);
    out.extend_from_slice(&keys.secret);
    let sum = digest::digest(&digest::SHA256, &out);
    out.extend_from_slice(sum.as_ref());
    out
}

fn decode(bytes: &[u8]) -> Result<KeyBytes, &'static str> {
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or("it is too short")?;
    if magic != MAGIC {
        return Err("it is no key file of punchdeck");
    }
    let (&[version], rest) = rest.split_first_chunk::<1>().ok_or("it is too short")?;
    if version != VERSION {
        return Err("it was written by a newer punchdeck, or is damaged in its version");
    }
    let (public_len, rest) = rest.split_first_chunk::<4>().ok_or("it is too short")?;
    let (secret_len, rest) = rest.split_first_chunk::<4>().ok_or("it is too short")?;
    let (public_len, secret_len) =
        (u32::from_be_bytes(*public_len) as usize, u32::from_be_bytes(*secret_len) as usize);
    if rest.len() != public_len.saturating_add(secret_len).saturating_add(digest::SHA256_OUTPUT_LEN) {
        return Err("its length is wrong");
    }
    let (content, sum) = bytes.split_at(bytes.len() - digest::SHA256_OUTPUT_LEN);
    if digest::digest(&digest::SHA256, content).as_ref() != sum {
        return Err("its checksum is wrong");
    }
    let (public, rest) = rest.split_at(public_len);
    Ok(KeyBytes { public: public.to_vec(), secret: Zeroizing::new(rest[..secret_len].to_vec()) })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;
    use crate::files::mode;

    fn fake(seed: u8) -> KeyBytes {
        KeyBytes { public: vec![seed; 40], secret: Zeroizing::new(vec![seed ^ 0xff; 60]) }
    }

    fn make(dir: &Path, seed: u8) -> Result<Identity, IdentityError> {
        load_or_create(dir, || Ok(fake(seed)), |_| Ok(()))
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_first_start_makes_the_key_and_every_later_one_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let first = make(&data, 1).unwrap();
        assert!(first.created);
        let second = make(&data, 2).unwrap();
        assert!(!second.created);
        assert_eq!(second.keys, first.keys);
        assert_eq!(mode(&fs::metadata(&data).unwrap()), 0o700);
        assert_eq!(mode(&fs::metadata(data.join(KEY_FILE)).unwrap()), 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_real_key_pair_survives_a_restart() {
        use crate::node::keys;
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_create(dir.path(), keys::generate, keys::check).unwrap();
        let second = load_or_create(dir.path(), keys::generate, keys::check).unwrap();
        assert_eq!(keys::peer_id(&first.keys.public).unwrap(), keys::peer_id(&second.keys.public).unwrap());
    }

    #[test]
    fn a_damaged_or_short_file_is_named_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), 1).unwrap();
        let path = dir.path().join(KEY_FILE);
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[HEADER_LEN + 45] ^= 1;
        for bad in [flipped, good[..good.len() - 1].to_vec(), vec![], vec![0; 20_000], vec![b'x'; 100_000]] {
            fs::write(&path, &bad).unwrap();
            let error = make(dir.path(), 2).unwrap_err();
            assert!(matches!(error, IdentityError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bad);
        }
    }

    #[test]
    fn halves_that_do_not_belong_together_are_a_damaged_file() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), 1).unwrap();
        let error = load_or_create(dir.path(), || Ok(fake(2)), |_| Err(KeyError::Mismatch)).unwrap_err();
        assert!(error.to_string().contains("does not belong to the public key"), "{error}");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_the_chmod_that_helps() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), 1).unwrap();
        let path = dir.path().join(KEY_FILE);
        for bits in [0o640, 0o604, 0o620] {
            chmod(&path, bits);
            let error = make(dir.path(), 1).unwrap_err();
            assert!(matches!(error, IdentityError::ReadableByOthers { mode, .. } if mode == bits), "{error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        chmod(&path, 0o400);
        make(dir.path(), 1).unwrap();
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        make(&data, 1).unwrap();
        chmod(&data, 0o770);
        assert!(matches!(make(&data, 1), Err(IdentityError::DirectoryWritableByOthers { .. })));
        chmod(&data, 0o755);
        make(&data, 1).unwrap();
    }

    #[test]
    fn without_a_key_on_disk_there_is_no_identity() {
        let dir = tempfile::tempdir().unwrap();
        // A name where the temporary file would go makes the write fail for
        // root too.
        let blocked = dir.path().join(format!(".{KEY_FILE}.tmp-{}", std::process::id()));
        fs::create_dir(&blocked).unwrap();
        assert!(matches!(make(dir.path(), 1), Err(IdentityError::Write { .. })));
        assert!(!dir.path().join(KEY_FILE).exists());
        // And a data directory that is a file.
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(matches!(make(&dir.path().join("file"), 1), Err(IdentityError::Write { .. })));
    }

    #[test]
    fn a_dangling_link_is_no_first_start() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join(KEY_FILE)).unwrap();
        assert!(matches!(make(dir.path(), 1), Err(IdentityError::Read { .. })));
    }

    proptest! {
        #[test]
        fn the_decoder_takes_any_bytes_and_only_its_own(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode(&bytes).is_err());
            let mut with_magic = MAGIC.to_vec();
            with_magic.push(VERSION);
            with_magic.extend_from_slice(&bytes);
            prop_assert!(decode(&with_magic).is_err());
        }

        #[test]
        fn any_one_flipped_bit_is_found(bit in 0usize..(HEADER_LEN + 100 + 32) * 8) {
            let mut bytes = encode(&fake(7)).to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
