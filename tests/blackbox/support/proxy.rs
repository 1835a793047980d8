//! A way between two programs that a test cuts, slows down, or lets answer nothing.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Duration;

use super::ports;

/// How the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Connections are closed, those that there are and new ones.
    Cut,
    /// Nothing passes, and nobody is told. What was sent meanwhile passes when it opens again.
    Held,
    /// Everything comes so much later.
    Slow(Duration),
    /// What is asked passes, and the answers are lost.
    Mute,
    /// Its end: as cut, for ever.
    Closed,
}

/// A listener that carries what it is sent to another address.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    way: Mutex<Way>,
    changed: Condvar,
    links: Mutex<Vec<Weak<Link>>>,
}

/// A connection, and the one that it is carried to.
struct Link {
    near: TcpStream,
    far: TcpStream,
}

impl Proxy {
    pub fn start(to: SocketAddr) -> Self {
        let address = ports::free();
        let listener = TcpListener::bind(address).expect("a free port");
        let shared = Arc::new(Shared {
            to,
            way: Mutex::new(Way::Open),
            changed: Condvar::new(),
            links: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || served.serve(&listener));
        Self { address, shared }
    }

    pub fn set(&self, way: Way) {
        *self.shared.way.lock().expect("the way") = way;
        self.shared.changed.notify_all();
        if matches!(way, Way::Cut | Way::Closed) {
            let links = std::mem::take(&mut *self.shared.links.lock().expect("the links"));
            links
                .iter()
                .filter_map(Weak::upgrade)
                .for_each(|link| link.close());
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Way::Closed);
        // Wakes the listener, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(self: Arc<Self>, listener: &TcpListener) {
        for near in listener.incoming() {
            match *self.way.lock().expect("the way") {
                Way::Closed => return,
                Way::Cut => continue,
                _ => {}
            }
            let (Ok(near), shared) = (near, Arc::clone(&self)) else {
                continue;
            };
            // Each end is closed by whichever side breaks: there is nobody to be told.
            std::thread::spawn(move || shared.carry(near));
        }
    }

    fn carry(self: Arc<Self>, near: TcpStream) -> io::Result<()> {
        if self.passage().is_none() {
            return Ok(());
        }
        let far = TcpStream::connect_timeout(&self.to, Duration::from_secs(5))?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let link = Arc::new(Link { near, far });
        let mut links = self.links.lock().expect("the links");
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
        drop(links);
        let (answers, shared) = (Arc::clone(&link), Arc::clone(&self));
        std::thread::spawn(move || {
            if shared.pump(&answers.far, &answers.near, true).is_err() {
                answers.close();
            }
        });
        let carried = self.pump(&link.near, &link.far, false);
        if carried.is_err() {
            link.close();
        }
        carried
    }

    /// Carries one direction to its end.
    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream, is_answer: bool) -> io::Result<()> {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let read = from.read(&mut bytes)?;
            let way = self.passage().ok_or(io::ErrorKind::ConnectionReset)?;
            if read == 0 {
                return to.shutdown(Shutdown::Write);
            }
            match way {
                Way::Mute if is_answer => continue,
                Way::Slow(by) => std::thread::sleep(by),
                _ => {}
            }
            to.write_all(&bytes[..read])?;
        }
    }

    /// Waits until something may pass. None: the way is cut.
    fn passage(&self) -> Option<Way> {
        let way = self.way.lock().expect("the way");
        let way = self
            .changed
            .wait_while(way, |way| *way == Way::Held)
            .expect("the way");
        (!matches!(*way, Way::Cut | Way::Closed)).then_some(*way)
    }
}

impl Link {
    fn close(&self) {
        for end in [&self.near, &self.far] {
            // It may be closed.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn a_way_is_cut_held_and_opened() {
    let listener = TcpListener::bind(ports::free()).expect("a port");
    let proxy = Proxy::start(listener.local_addr().expect("its address"));
    let mut near = TcpStream::connect(proxy.address).expect("a connection");
    let (mut far, _) = listener.accept().expect("carried");
    let mut byte = [0];
    near.write_all(b"a").expect("sent");
    far.read_exact(&mut byte).expect("carried");
    assert_eq!(&byte, b"a");
    proxy.set(Way::Held);
    near.write_all(b"b").expect("sent");
    far.set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a time-out");
    assert!(far.read_exact(&mut byte).is_err(), "it was held");
    proxy.set(Way::Open);
    far.set_read_timeout(Some(super::SOON)).expect("a time-out");
    far.read_exact(&mut byte).expect("carried");
    assert_eq!(&byte, b"b");
    proxy.set(Way::Mute);
    far.write_all(b"c").expect("sent");
    near.set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a time-out");
    assert!(near.read_exact(&mut byte).is_err(), "it was lost");
    near.set_read_timeout(Some(super::SOON))
        .expect("a time-out");
    proxy.set(Way::Cut);
    assert_eq!(near.read(&mut byte).expect("closed"), 0);
    let mut refused = TcpStream::connect(proxy.address).expect("a connection");
    assert_eq!(refused.read(&mut byte).unwrap_or(0), 0);
}
