//! `completions` and `man`, and that every command has a text of its own.

use std::process::Command;

use crate::support::process::{Ended, command, run};

const COMMANDS: [&str; 17] = [
    "serve",
    "check-config",
    "send",
    "tail",
    "top",
    "load",
    "channels",
    "status",
    "pause",
    "resume",
    "purge",
    "cancel",
    "dead-letters",
    "key",
    "journal",
    "completions",
    "man",
];

fn of(arguments: &[&str]) -> Ended {
    run(command().args(arguments), "")
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = of(&["completions", shell]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{shell}");
        for name in COMMANDS {
            assert!(ended.out.contains(name), "{shell}: {name}");
        }
    }
    assert_eq!(of(&["completions", "nonsense"]).code, Some(2));
    // bash itself offers what begins so.
    let script = of(&["completions", "bash"]).out;
    let asked =
        "COMP_WORDS=(cuegate ca); COMP_CWORD=1; _cuegate cuegate ca cuegate; echo ${COMPREPLY[@]}";
    let mut bash = Command::new("bash");
    let ended = run(bash.args(["-c", &format!("{script}\n{asked}")]), "");
    assert_eq!(ended.out.trim(), "cancel", "{ended:?}");
}

#[test]
fn every_command_has_a_page_and_a_help() {
    let whole = of(&["man"]);
    assert_eq!((whole.code, whole.err.as_str()), (Some(0), ""));
    assert!(whole.out.contains(".TH cuegate 1"), "{}", whole.out);
    for name in COMMANDS {
        let written = name.replace('-', "\\-");
        assert!(whole.out.contains(&written), "{name}: {}", whole.out);
        let page = of(&["man", name]);
        assert_eq!(page.code, Some(0), "{page:?}");
        let title = format!(".TH cuegate-{name} 1");
        assert!(page.out.contains(&title), "{title}: {}", page.out);
        let help = of(&[name, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""), "{name}");
        assert!(help.out.contains("Usage: cuegate"), "{help:?}");
    }
    let nested = of(&["man", "dead-letters", "replay"]);
    assert!(
        nested.out.contains(".TH cuegate-dead-letters-replay 1"),
        "{nested:?}"
    );
    let unknown = of(&["man", "nonsense"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(2), ""));
    assert!(unknown.err.contains("send"), "{unknown:?}");
}
