//! An HTTP endpoint of a test's own that is told things: what it answers is the test's to say.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::certificates::Issued;
use super::eventually;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Told {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Told {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The ids of its ends, each with how it ended.
    pub fn ends(&self) -> Vec<(String, String)> {
        let told = self.json();
        let ends = told["data"]["ends"].as_array().expect("ends").iter();
        let text = |end: &Value, name: &str| end[name].as_str().expect("a text").to_owned();
        ends.map(|end| (text(end, "id"), text(end, "end")))
            .collect()
    }
}

/// A listener whose connections are served until it is dropped with the test.
pub struct Endpoint {
    pub address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Endpoint {
    /// Answers 204, but for the first requests, which get these: a status and headers, as `503` or
    /// `429\r\nretry-after: 1`.
    pub fn start(answers: &[&str]) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").expect("a port"), answers)
    }

    pub fn at(listener: TcpListener, answers: &[&str]) -> Self {
        Self::serving(listener, answers, std::convert::identity)
    }

    /// The same over TLS, with that certificate.
    pub fn start_tls(issued: &Issued) -> Self {
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![issued.der()], key);
        let config = Arc::new(config.expect("a certificate"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self::serving(listener, &[], move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            StreamOwned::new(connection, stream)
        })
    }

    fn serving<S: Read + Write>(
        listener: TcpListener,
        answers: &[&str],
        speak: impl Fn(TcpStream) -> S + Clone + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("its address");
        let endpoint = Self {
            address,
            told: Arc::default(),
            answers: Arc::new(Mutex::new(
                answers.iter().map(|&answer| answer.to_owned()).collect(),
            )),
        };
        let (told, answers) = (Arc::clone(&endpoint.told), Arc::clone(&endpoint.answers));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (told, answers) = (Arc::clone(&told), Arc::clone(&answers));
                let (stream, speak) = (stream.expect("a connection"), speak.clone());
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(speak(stream));
                    while serve(&mut stream, &told, &answers).is_some() {}
                });
            }
        });
        endpoint
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?of=quiz", self.address)
    }

    /// What it was told so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().expect("the list").clone()
    }

    /// The same once there are so many.
    pub fn told_times(&self, times: usize) -> Vec<Told> {
        eventually(&format!("{times} requests"), || {
            Some(self.told()).filter(|told| told.len() >= times)
        })
    }
}

/// Serves one request of a connection; none: it is over.
fn serve<S: Read + Write>(
    reader: &mut BufReader<S>,
    told: &Mutex<Vec<Told>>,
    answers: &Mutex<VecDeque<String>>,
) -> Option<()> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut request = Told {
        path,
        headers,
        body: Vec::new(),
    };
    request
        .body
        .resize(request.header("content-length").parse().ok()?, 0);
    reader.read_exact(&mut request.body).ok()?;
    let answer = answers.lock().expect("the answers").pop_front();
    told.lock().expect("the list").push(request);
    let answer = answer.unwrap_or_else(|| "204".to_owned());
    let (status, rest) = answer.split_once("\r\n").unwrap_or((&answer, ""));
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!("{rest}\r\n")
    };
    let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n{rest}\r\n");
    let stream = reader.get_mut();
    stream.write_all(answer.as_bytes()).ok()?;
    stream.flush().ok()
}
