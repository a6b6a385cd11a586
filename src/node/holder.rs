//! Why a UDP socket could not be bound, and which process holds the address
//! where the system tells. Nothing is guessed: what cannot be read is not said.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::model::clean;

/// The sockets of this thread's network namespace: that of the process is
/// another one in a lab.
const TABLES: [&str; 2] = ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"];

/// A process that holds an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    /// What its program calls itself.
    program: String,
    pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by {}, pid {}", self.program, self.pid)
    }
}

/// Why that address could not be bound.
pub(super) fn why_not(addr: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => match of(addr) {
            Some(holder) => format!("address already in use ({holder})"),
            None => "address already in use".to_owned(),
        },
        _ if is_family_unknown(error) => "this host has no IPv6; 0.0.0.0 takes IPv4 alone".to_owned(),
        ErrorKind::AddrNotAvailable => "this host has no such address".to_owned(),
        _ => clean(&error.to_string()),
    }
}

/// Whether the system has no such sockets at all: a kernel without IPv6.
pub(super) fn is_family_unknown(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// Who holds a UDP address. Nobody where the system has no such tables, or where
/// it is a process that we may not look into.
pub(super) fn of(addr: SocketAddr) -> Option<Holder> {
    let tables = TABLES.iter().filter_map(|table| fs::read_to_string(table).ok());
    let mut sockets: Vec<Socket> = tables.flat_map(|table| sockets(&table, addr)).collect();
    // Whoever has that very address, before whoever has it among others.
    sockets.sort_by_key(|socket| socket.ip != addr.ip().to_canonical());
    sockets.into_iter().find_map(|socket| process_with(socket.inode))
}

/// A socket that keeps another one from an address.
#[derive(Debug, PartialEq, Eq)]
struct Socket {
    ip: IpAddr,
    inode: u64,
}

/// Those of a table in the manner of /proc/net/udp that are in the way of an
/// address.
fn sockets(table: &str, addr: SocketAddr) -> Vec<Socket> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (ip, port) = address(fields.get(1)?)?;
        let inode = fields.get(9)?.parse().ok()?;
        (port == addr.port() && in_the_way(ip, addr.ip().to_canonical())).then_some(Socket { ip, inode })
    };
    table.lines().filter_map(line).collect()
}

/// An address as the kernel writes it: the bytes of each 32 bits in the order of
/// this machine, then the port.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (n, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(n * 8)?);
            }
            IpAddr::from(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some((ip, port))
}

/// Whether two sockets cannot have the same port on these. An IPv6 wildcard takes
/// IPv4 too, as ours do; whether it is told not to is not in the table.
fn in_the_way(held: IpAddr, asked: IpAddr) -> bool {
    let covers = |wide: IpAddr, one: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || one.is_ipv4());
    held == asked || covers(held, asked) || covers(asked, held)
}

/// The process that has a socket open.
fn process_with(inode: u64) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    let has_it = |process: &Path| {
        let open = fs::read_dir(process.join("fd")).ok()?;
        let is_it = |fd: &Path| fs::read_link(fd).is_ok_and(|to| to.as_os_str() == wanted.as_str());
        open.flatten().any(|fd| is_it(&fd.path())).then_some(())
    };
    let holder = |process: fs::DirEntry| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        has_it(&process.path())?;
        let program = clean(fs::read_to_string(process.path().join("comm")).ok()?.trim());
        Some(Holder { program, pid })
    };
    fs::read_dir("/proc").ok()?.flatten().find_map(holder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: &str = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1234: 0100007F:2328 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 71 2 0000000000000000 0
 1235: 00000000:2329 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 72 2 0000000000000000 0
 1236: 010012C6:2328 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 73 2 0000000000000000 0
";
    const UDP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  17: 00000000000000000000000000000000:232A 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 81 2 0000000000000000 0
  18: 00000000000000000000000001000000:2328 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 82 2 0000000000000000 0
  19: 0000000000000000FFFF00000100007F:232B 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 83 2 0000000000000000 0
  cut short
";

    const NONE: [u64; 0] = [];

    fn inodes(table: &str, addr: &str) -> Vec<u64> {
        sockets(table, addr.parse().unwrap()).into_iter().map(|socket| socket.inode).collect()
    }

    /// The kernel writes in the byte order of the machine; the samples are of a
    /// little-endian one.
    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_tables_say_which_socket_is_in_the_way_of_an_address() {
        assert_eq!(inodes(UDP, "127.0.0.1:9000"), [71]);
        assert_eq!(inodes(UDP, "198.18.0.1:9000"), [73]);
        assert_eq!(inodes(UDP, "127.0.0.2:9000"), NONE, "another address of this host");
        assert_eq!(inodes(UDP, "127.0.0.1:9001"), [72], "a wildcard has it among others");
        assert_eq!(inodes(UDP, "0.0.0.0:9000"), [71, 73], "a wildcard wants them all");
        assert_eq!(inodes(UDP, "[::]:9000"), [71, 73], "of both families");
        assert_eq!(inodes(UDP, "[::1]:9001"), NONE, "of its own family only");
        assert_eq!(inodes(UDP, "127.0.0.1:9003"), NONE);

        assert_eq!(inodes(UDP6, "[::1]:9000"), [82]);
        assert_eq!(inodes(UDP6, "127.0.0.1:9000"), NONE);
        assert_eq!(inodes(UDP6, "127.0.0.1:9002"), [81], "an IPv6 wildcard takes IPv4 too");
        assert_eq!(inodes(UDP6, "127.0.0.1:9003"), [83], "an IPv4 address in IPv6 is one");
        assert_eq!(inodes("", "[::]:9000"), NONE);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn whoever_holds_an_address_is_named_and_nobody_where_it_is_free() {
        let held = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = held.local_addr().unwrap();
        let holder = of(addr).unwrap();
        assert_eq!(holder.pid, std::process::id());
        let taken = std::net::UdpSocket::bind(addr).unwrap_err();
        assert_eq!(why_not(addr, &taken), format!("address already in use ({holder})"));
        assert!(holder.to_string().ends_with(&format!(", pid {}", std::process::id())), "{holder}");
        drop(held);
        assert_eq!(of(addr), None);
    }

    #[test]
    fn an_address_of_another_host_is_said_to_be_one() {
        let addr = "198.18.255.254:9000".parse().unwrap();
        let error = std::net::UdpSocket::bind(addr).unwrap_err();
        assert_eq!(why_not(addr, &error), "this host has no such address");
    }
}
