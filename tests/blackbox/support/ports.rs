//! Ports for the programs under test.
//!
//! Not ports that the system gives: those come from the range that outgoing connections take
//! theirs from, so that another test's client could have one before the program binds it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ephemeral range of Linux (32768 and up).
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A loopback address nobody listens on, and that is given only once.
pub fn free() -> SocketAddr {
    for _ in 0..COUNT {
        // Two runs of the tests at once start far apart.
        let offset = std::process::id().wrapping_mul(7919);
        let nth = offset.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + nth % COUNT).expect("a port");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port from {FIRST} on");
}
