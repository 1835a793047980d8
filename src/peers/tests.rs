//! The protocol as it is written, and the code that is made of it.

use std::path::PathBuf;

const REWRITE: &str = "CUEGATE_REWRITE";

#[test]
fn the_code_of_the_protocol_is_up_to_date() {
    let room = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/peers");
    let made = tempfile::tempdir().expect("a directory");
    let files = protox::compile(["cuegate.proto"], [&room]).expect("a protocol");
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .out_dir(made.path())
        .compile_fds(files)
        .expect("code");
    let made = std::fs::read_to_string(made.path().join("cuegate.cluster.v1.rs")).expect("code");
    let kept = room.join("generated/cuegate.rs");
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&kept, &made).expect("written");
    }
    assert!(
        std::fs::read_to_string(&kept).unwrap_or_default() == made,
        "{} is not what cuegate.proto says: run {REWRITE}=1 cargo test -p cuegate --lib the_code_of_the_protocol",
        kept.display()
    );
}
