//! The producers' door with metrics and tracing, and without: what they cost.
//!
//! Without means: no meter counts, no request has an id, a span or a time, and no subscriber is
//! there. What queues know of themselves is not telemetry, and is in both. Calls to the API find
//! nobody, so that acceptance alone is measured.

use std::sync::Arc;
use std::time::Duration;

use cuegate::access::{Access, Keyring};
use cuegate::clock::Clock;
use cuegate::dispatch::{Gateway, Holdings, Parts};
use cuegate::ingest::Security;
use cuegate::lifecycle::Supervisor;
use cuegate::telemetry::logs::{self, LogFormat};
use cuegate::telemetry::{Meters, Telemetry};
use cuegate::upstream::{Upstream, UpstreamOptions};
use cuegate::{config, ingest};

/// The argument that makes this program such a server.
pub const SERVER: &str = "observed-server";

/// Serves until the process is ended; prints its address first.
pub fn serve(config: &str, observed: bool) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let none: [(String, String); 0] = [];
        let settings = config::parse(Some(("bench", config)), none).expect("settings");
        let settings = Arc::new(settings);
        let telemetry = Telemetry::new("local");
        let meters = if observed {
            logs::init(LogFormat::Human, None).expect("a log");
            Arc::clone(telemetry.meters())
        } else {
            Arc::new(Meters::off())
        };
        let (timeout, abandon) = (Duration::from_secs(2), Duration::from_secs(5));
        let options = UpstreamOptions::local("http://127.0.0.1:9".to_owned(), timeout, abandon);
        let gateway = Gateway::start(
            Arc::clone(&settings),
            Parts {
                clock: Arc::new(Clock::new()),
                upstream: Upstream::new(options),
                emulator: None,
                meters: Arc::clone(&meters),
                supervisor: Supervisor::default(),
            },
            Holdings::in_memory(),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        let stop = std::future::pending();
        let access = Access::build(&settings, &|_| None, None).expect("an access");
        let security = Security {
            keyring: Arc::new(Keyring::new(access)),
            tls: None,
        };
        let doors = ingest::serve(listener, gateway, meters, security, stop);
        tokio::join!(doors, telemetry.upkeep());
    });
}
