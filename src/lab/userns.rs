//! Becoming root of a namespace of our own, and the programs that the lab needs.
//!
//! It changes nothing outside this process, and asks for no right on the host.

use std::path::{Path, PathBuf};

use super::unsupported::Unsupported;

/// Where system programs are; a user's `PATH` often lacks these.
const SYSTEM_DIRS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// The programs that the lab calls, where they are.
#[derive(Debug, Clone)]
pub struct Tools {
    pub(super) nft: PathBuf,
    pub(super) ip: PathBuf,
    /// Needed to flush a NAT's state, and only for that.
    pub(super) conntrack: Option<PathBuf>,
}

/// The proof that this process is in a user namespace of its own, where it may
/// make networks.
#[derive(Debug, Clone)]
pub struct Userns {
    pub(super) tools: Tools,
}

/// Enters a user namespace. To be called before any thread exists: the kernel
/// refuses it to a process with several.
///
/// # Errors
/// [`Unsupported`], after which the process can still do everything else.
pub fn enter() -> Result<Userns, Unsupported> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // What stands in the current directory is no system program.
    let dirs: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(SYSTEM_DIRS.iter().map(PathBuf::from))
        .filter(|dir| dir.is_absolute())
        .collect();
    let tools = Tools {
        nft: required(&dirs, "nft", "nftables")?,
        ip: required(&dirs, "ip", "iproute2")?,
        conntrack: find(&dirs, "conntrack"),
    };
    patchbay::init_userns().map_err(|error| Unsupported {
        what: "no user namespace".to_owned(),
        why: format!("{error:#}"),
        help: namespace_help(Path::new("/proc/sys")),
    })?;
    Ok(Userns { tools })
}

fn find(dirs: &[PathBuf], program: &str) -> Option<PathBuf> {
    dirs.iter().map(|dir| dir.join(program)).find(|path| path.is_file())
}

fn required(dirs: &[PathBuf], program: &str, package: &str) -> Result<PathBuf, Unsupported> {
    find(dirs, program).ok_or_else(|| Unsupported {
        what: format!("no program {program}"),
        why: "it is in no directory of PATH, nor where system programs are".to_owned(),
        help: format!("try: apt-get install {package}"),
    })
}

/// The setting that forbids it, if the system tells.
fn namespace_help(settings: &Path) -> String {
    let is = |name: &str, value: &str| {
        std::fs::read_to_string(settings.join(name)).is_ok_and(|text| text.trim() == value)
    };
    if is("kernel/unprivileged_userns_clone", "0") {
        "try: sysctl kernel.unprivileged_userns_clone=1".to_owned()
    } else if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        "try: sysctl kernel.apparmor_restrict_unprivileged_userns=0".to_owned()
    } else if is("user/max_user_namespaces", "0") {
        "try: sysctl user.max_user_namespaces=10000".to_owned()
    } else {
        "a container may forbid it: try outside of it, or with the right to unshare".to_owned()
    }
}

/// What to say where making a network fails though the namespace was had.
pub(super) fn network_help() -> String {
    namespace_help(Path::new("/proc/sys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_package_that_has_it() {
        let error = required(&[PathBuf::from("/nowhere")], "nft", "nftables").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no program nft: it is in no directory of PATH, nor where system programs are; try: apt-get install nftables"
        );
    }

    #[test]
    fn the_setting_that_forbids_namespaces_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("kernel")).unwrap();
        assert!(namespace_help(dir.path()).contains("container"));
        std::fs::write(dir.path().join("kernel/apparmor_restrict_unprivileged_userns"), "1\n").unwrap();
        assert!(namespace_help(dir.path()).contains("apparmor_restrict_unprivileged_userns=0"));
        std::fs::write(dir.path().join("kernel/unprivileged_userns_clone"), "0\n").unwrap();
        assert!(namespace_help(dir.path()).contains("unprivileged_userns_clone=1"));
    }
}
