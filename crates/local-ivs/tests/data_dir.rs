//! What a data directory keeps: everything that was answered, even after a kill, and nothing
//! that it cannot vouch for.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Fixture, Signer, exchange, request};
use local_ivs::{BindError, DEMO_CHANNEL, DataError, Options, Server};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::SystemTime;

/// A directory of its own, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn options(&self) -> Options {
        Options {
            data_dir: Some(self.0.clone()),
            ..Options::default()
        }
    }

    fn file(&self) -> PathBuf {
        self.0.join("state.json")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Everything that the read operations tell, without the streams.
async fn told(fixture: &Fixture) -> Vec<String> {
    let mut told = Vec::new();
    for operation in [
        "ListChannels",
        "ListPlaybackKeyPairs",
        "ListRecordingConfigurations",
    ] {
        fixture.clock.advance_us(1_000_000);
        told.push(fixture.api(operation, "").await.body);
    }
    let channels: serde_json::Value = serde_json::from_str(&told[0]).unwrap();
    for channel in channels["channels"].as_array().unwrap() {
        fixture.clock.advance_us(1_000_000);
        let arn = &channel["arn"];
        let of_channel = format!(r#"{{"arn":{arn},"channelArn":{arn}}}"#);
        let channel = fixture.api("GetChannel", &of_channel).await.body;
        // The playback URL has the address of now.
        let origin = format!("http://{}/", fixture.addr);
        assert!(channel.contains(&origin), "{channel}");
        told.push(channel.replace(&origin, "/"));
        let keys = fixture.api("ListStreamKeys", &of_channel).await.json();
        if let Some(key) = keys["streamKeys"][0]["arn"].as_str() {
            let of_key = format!(r#"{{"arn":"{key}"}}"#);
            told.push(fixture.api("GetStreamKey", &of_key).await.body);
        }
    }
    told
}

#[tokio::test]
async fn a_restart_loses_nothing_but_live_streams() {
    let dir = Dir::new("restart");
    let fixture = Fixture::start(dir.options()).await;
    let pem = "-----BEGIN PUBLIC KEY-----\\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEVjYMV+P4ML6xemanCrtse/FDwsNnpYmSS6vRV9Wx37mjwi02hObKuCJqpj7x0lpz0bHm5v1JBvdZYAd/r2LR5aChK+/GM2Wjl8MG9NJIVFaw1u3bvjEjzTASSfS1BDX1\\n-----END PUBLIC KEY-----";
    let recording = fixture
        .api(
            "CreateRecordingConfiguration",
            r#"{"name":"r","destinationConfiguration":{"s3":{"bucketName":"abc"}},"thumbnailConfiguration":{"recordingMode":"DISABLED"}}"#,
        )
        .await
        .json();
    let recording = recording["recordingConfiguration"]["arn"].as_str().unwrap();
    let create = format!(
        r#"{{"name":"c","type":"ADVANCED_SD","recordingConfigurationArn":"{recording}","tags":{{"a":"ü"}}}}"#
    );
    let created = fixture.api("CreateChannel", &create).await.json();
    let channel = created["channel"]["arn"].as_str().unwrap();
    let key = created["streamKey"]["value"].as_str().unwrap();
    let import = format!(r#"{{"publicKeyMaterial":"{pem}","tags":{{"b":""}}}}"#);
    assert_eq!(
        fixture.api("ImportPlaybackKeyPair", &import).await.status,
        200
    );
    let ingest = format!(r#"{{"streamKey":"{key}"}}"#);
    let answer = fixture.local("POST", "/_local/ingest", &ingest).await;
    assert_eq!(answer.unwrap().status, 200);
    // The session remembers other tags than the channel has now.
    let tags = format!("/tags/{}", channel.replace('/', "%2F"));
    let signer = Signer::default();
    let tagged = fixture.call("POST", &tags, r#"{"tags":{"a":"later"}}"#, &signer);
    assert_eq!(tagged.await.unwrap().status, 200);
    let of_channel = format!(r#"{{"channelArn":"{channel}"}}"#);
    let before = told(&fixture).await;
    let session = fixture.api("GetStreamSession", &of_channel).await.json();
    let at_start = &session["streamSession"];
    assert_eq!(at_start["channel"]["tags"]["a"], "ü");
    fixture.ended().await;

    let fixture = Fixture::start(dir.options()).await;
    assert_eq!(told(&fixture).await, before);
    // The stream ended when the server began anew, and the demo channel has another one.
    assert_eq!(
        fixture.api("GetStream", &of_channel).await.error().1,
        "ChannelNotBroadcasting"
    );
    let session = fixture.api("GetStreamSession", &of_channel).await.json();
    let after = &session["streamSession"];
    for member in ["streamId", "startTime", "channel"] {
        assert_eq!(after[member], at_start[member], "{member}");
    }
    assert_eq!(after["recordingConfiguration"]["arn"], *recording);
    assert!(after["endTime"].is_string(), "{after}");
    let demo = format!(r#"{{"channelArn":"{DEMO_CHANNEL}"}}"#);
    let sessions = fixture.api("ListStreamSessions", &demo).await.json();
    let sessions = sessions["streamSessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    assert!(sessions[0]["endTime"].is_null() && sessions[1]["endTime"].is_string());
    // The key still lets its encoder in, and identifiers go on where they stopped.
    let answer = fixture.local("POST", "/_local/ingest", &ingest).await;
    assert_eq!(answer.unwrap().status, 200);
    let created = fixture.api("CreateChannel", "").await.json();
    assert!(
        !before
            .concat()
            .contains(created["channel"]["arn"].as_str().unwrap())
    );
    fixture.ended().await;
}

/// What the first format had is there, and other kinds can be added to it.
#[tokio::test]
async fn the_first_format_is_still_read() {
    let dir = Dir::new("first");
    let home = "arn:aws:ivs:us-west-2:000000000000";
    let pair = format!(
        r#"{{"arn":"{home}:playback-key/k","name":"n","fingerprint":"aa:bb","tags":{{}}}}"#
    );
    let recording = format!(
        r#"{{"arn":"{home}:recording-configuration/r","createdUs":1,"name":"old","destinationConfiguration":{{"s3":{{"bucketName":"abc"}}}},"tags":{{"a":"b"}},"thumbnailConfiguration":{{"recordingMode":"DISABLED"}},"recordingReconnectWindowSeconds":0,"renditionConfiguration":{{"renditionSelection":"ALL"}}}}"#
    );
    let kept = format!(
        r#"{{"format":1,"state":{{"ids":7,"regions":[{{"home":"{home}","channels":[],"stream_keys":[],"key_pairs":[{pair}],"recordings":[{recording}]}}]}}}}"#
    );
    std::fs::create_dir_all(&dir.0).unwrap();
    std::fs::write(dir.file(), kept).unwrap();
    let mut slate = String::new();
    for _ in 0..2 {
        let fixture = Fixture::start(dir.options()).await;
        let pair = fixture.api("ListPlaybackKeyPairs", "").await.body;
        assert!(pair.contains(r#""name":"n""#), "{pair}");
        let get = format!(r#"{{"arn":"{home}:recording-configuration/r"}}"#);
        let got = fixture.api("GetRecordingConfiguration", &get).await.body;
        let whole = format!(
            r#"{{"recordingConfiguration":{{"arn":"{home}:recording-configuration/r","destinationConfiguration":{{"s3":{{"bucketName":"abc"}}}},"name":"old","recordingReconnectWindowSeconds":0,"renditionConfiguration":{{"renditionSelection":"ALL"}},"state":"ACTIVE","tags":{{"a":"b"}},"thumbnailConfiguration":{{"recordingMode":"DISABLED"}}}}}}"#
        );
        assert_eq!(got, whole);
        if slate.is_empty() {
            let made = fixture.api("CreateFailoverSlateConfiguration", "").await;
            slate = made.json()["failoverSlateConfiguration"]["arn"]
                .as_str()
                .unwrap()
                .to_owned();
        } else {
            let get = format!(r#"{{"arn":"{slate}"}}"#);
            assert_eq!(
                fixture
                    .api("GetFailoverSlateConfiguration", &get)
                    .await
                    .status,
                200
            );
        }
        fixture.ended().await;
    }
}

async fn refused(options: Options) -> BindError {
    match Server::bind("127.0.0.1:0", options).await {
        Ok(_) => panic!("was bound"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_said() {
    let dir = Dir::new("refused");
    let first = Server::bind("127.0.0.1:0", dir.options()).await.unwrap();
    let error = refused(dir.options()).await;
    assert!(
        matches!(error, BindError::Data(DataError::InUse(_))),
        "{error}"
    );
    drop(first);
    let fixture = Fixture::start(dir.options()).await;
    assert_eq!(fixture.api("CreateChannel", "").await.status, 200);
    fixture.ended().await;

    let good = std::fs::read_to_string(dir.file()).unwrap();
    let half = good[..good.len() / 2].to_owned();
    let newer = good.replacen(r#""format":2"#, r#""format":3"#, 1);
    let astray = good.replacen(
        r#""home":"arn:aws:ivs:us-west-2"#,
        r#""home":"arn:aws:ivs:x"#,
        1,
    );
    #[rustfmt::skip]
    let cases = [
        ("empty", String::new(), "state.json is damaged: EOF"),
        ("half", half, "state.json is damaged: EOF"),
        ("no JSON", "x".to_owned(), "damaged: expected value"),
        ("no format", "{}".to_owned(), "damaged: missing field `format`"),
        ("newer", newer, "is of format 3, and this version reads up to 2"),
        ("astray", astray, "is not a channel of arn:aws:ivs:x:000000000000"),
        ("no state", r#"{"format":1}"#.to_owned(), "damaged: missing field `state`"),
    ];
    for (name, text, part) in cases {
        std::fs::write(dir.file(), &text).unwrap();
        let error = refused(dir.options()).await.to_string();
        assert!(error.contains(part), "{name}: {error}");
        // It is left as it was found.
        assert_eq!(std::fs::read_to_string(dir.file()).unwrap(), text, "{name}");
    }
    std::fs::write(dir.file(), good).unwrap();
    Fixture::start(dir.options()).await.ended().await;

    let options = Options {
        data_dir: Some(dir.file()),
        ..Options::default()
    };
    let error = refused(options).await.to_string();
    assert!(error.contains("data directory"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_saved_is_not_answered_as_done() {
    let dir = Dir::new("unsaved");
    let fixture = Fixture::start(dir.options()).await;
    assert_eq!(fixture.api("CreateChannel", "").await.status, 200);
    // A directory in the place of the new file: no write can get past it.
    std::fs::create_dir(dir.0.join("state.json.new")).unwrap();
    let answer = fixture.api("CreateChannel", "").await.error();
    assert_eq!((answer.0, &*answer.1), (500, "InternalServerException"));
    assert!(answer.2.contains("could not be saved"), "{}", answer.2);
    let key = fixture.state.stream_key(DEMO_CHANNEL).unwrap();
    fixture.state.set_offline(DEMO_CHANNEL).unwrap();
    let ingest = format!(r#"{{"streamKey":"{key}"}}"#);
    let answer = fixture.local("POST", "/_local/ingest", &ingest).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 500, "{answer:?}");
    // Looking needs no saving.
    assert_eq!(fixture.api("ListChannels", "").await.status, 200);
    std::fs::remove_dir(dir.0.join("state.json.new")).unwrap();
    assert_eq!(fixture.api("CreateChannel", "").await.status, 200);
    fixture.ended().await;
    let fixture = Fixture::start(dir.options()).await;
    let listed = fixture.api("ListChannels", "").await.json();
    assert_eq!(listed["channels"].as_array().unwrap().len(), 4);
}

/// The program itself, killed at the end; its output must stay open for what it prints.
struct Program {
    child: Child,
    _output: BufReader<ChildStdout>,
}

impl Program {
    fn start(dir: &Path) -> (Self, SocketAddr) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_local-ivs"))
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        let addr = line.split(['/', ',']).nth(2).unwrap().parse().unwrap();
        let program = Self {
            child,
            _output: lines,
        };
        (program, addr)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // On Unix this is SIGKILL.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn call(addr: SocketAddr, operation: &str, body: &str) -> serde_json::Value {
    let path = format!("/{operation}");
    let now = SystemTime::now();
    let request = Signer::default().signed(addr, now, "POST", &path, body);
    let answer = exchange(addr, request.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{operation}: {answer:?}");
    answer.json()
}

/// Each channel is answered for, then the program is killed at once; in the end all are there.
#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let dir = Dir::new("killed");
    let mut arns = Vec::new();
    for round in 0..4 {
        let (program, addr) = Program::start(&dir.0);
        for n in 0..4 {
            let body = format!(r#"{{"name":"c{round}-{n}"}}"#);
            let created = call(addr, "CreateChannel", &body).await;
            arns.push(created["channel"]["arn"].as_str().unwrap().to_owned());
            if n == 3 {
                let key = created["streamKey"]["value"].as_str().unwrap();
                let ingest = format!(r#"{{"streamKey":"{key}"}}"#);
                let request = request(addr, "POST", "/_local/ingest", &[], &ingest);
                let answer = exchange(addr, request.as_bytes()).await.unwrap();
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        }
        drop(program);
    }
    let (_program, addr) = Program::start(&dir.0);
    let listed = call(addr, "ListChannels", "").await.to_string();
    for arn in &arns {
        assert!(listed.contains(arn), "{arn}: {listed}");
    }
    for arn in arns.iter().skip(3).step_by(4) {
        let body = format!(r#"{{"channelArn":"{arn}"}}"#);
        let sessions = call(addr, "ListStreamSessions", &body).await;
        assert!(
            sessions["streamSessions"][0]["endTime"].is_string(),
            "{sessions}"
        );
    }
    arns.sort();
    arns.dedup();
    assert_eq!(arns.len(), 16);
}
