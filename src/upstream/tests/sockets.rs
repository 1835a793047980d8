//! What is left of calls whose process is gone.

use std::io::ErrorKind;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

use crate::upstream::connection::Sockets;

async fn connected(unacknowledged: Duration) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let mut sockets = Sockets::new(unacknowledged);
    let ours = sockets.call(url.parse().expect("a URL")).await;
    let (theirs, _) = listener.accept().await.expect("a connection");
    (ours.expect("a connection").into_inner(), theirs)
}

#[tokio::test]
async fn a_socket_that_is_closed_forgets_what_the_network_did_not_take() {
    let (ours, mut theirs) = connected(Duration::from_secs(20)).await;
    let (bytes, mut written) = (vec![b'x'; 65_536], 0);
    ours.writable().await.expect("a connection");
    while let Ok(some) = ours.try_write(&bytes) {
        written += some;
    }
    drop(ours);
    let mut arrived = Vec::new();
    let ended = theirs.read_to_end(&mut arrived).await;
    let ended = ended.map_err(|error| error.kind());
    assert_eq!(ended, Err(ErrorKind::ConnectionReset));
    assert!(arrived.len() < written, "{} of {written}", arrived.len());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_not_acknowledged_in_the_time_of_a_call_is_given_up() {
    let (socket, _theirs) = connected(Duration::from_millis(1234)).await;
    let socket = SockRef::from(&socket);
    let unacknowledged = socket.tcp_user_timeout().expect("a time");
    assert_eq!(unacknowledged, Some(Duration::from_millis(1234)));
    assert_eq!(socket.linger().expect("a time"), Some(Duration::ZERO));
}
