//! `process_*`, read from `/proc` at each scrape; where there is none they are left out.
//!
//! Written as text by itself: CPU seconds are a counter with a fraction, which the recorder
//! does not have.

use std::fmt::Write;
use std::fs;

use super::names::{self, Metric};

/// Clock ticks in `/proc`, per second: `USER_HZ` is 100 on every architecture we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Appends what can be read.
pub(super) fn render(text: &mut String) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let stat = Stat::parse(&read("/proc/self/stat"));
    let status = read("/proc/self/status");
    let limits = read("/proc/self/limits");
    let kilobytes = |field| number_after(&status, field).map(|kb| kb * 1024.0);
    let booted = number_after(&read("/proc/stat"), "btime ");
    let values: [(&Metric, Option<f64>); 7] = [
        (
            &names::PROCESS_CPU_SECONDS,
            stat.as_ref().map(|stat| stat.cpu_seconds),
        ),
        (&names::PROCESS_RESIDENT_MEMORY, kilobytes("VmRSS:")),
        (&names::PROCESS_VIRTUAL_MEMORY, kilobytes("VmSize:")),
        (&names::PROCESS_OPEN_FDS, open_fds()),
        (
            &names::PROCESS_MAX_FDS,
            number_after(&limits, "Max open files"),
        ),
        (&names::PROCESS_THREADS, number_after(&status, "Threads:")),
        (
            &names::PROCESS_START_TIME,
            booted
                .zip(stat)
                .map(|(booted, stat)| booted + stat.started_after_boot_seconds),
        ),
    ];
    for (metric, value) in values {
        if let Some(value) = value {
            write(text, metric, value);
        }
    }
}

fn write(text: &mut String, metric: &Metric, value: f64) {
    metric.describe(text);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} {value}\n", metric.name);
}

/// What we use of `/proc/self/stat`.
struct Stat {
    cpu_seconds: f64,
    started_after_boot_seconds: f64,
}

impl Stat {
    /// Fields 14, 15 and 22 of `proc(5)`. The second is the program's name in brackets, which
    /// may itself hold spaces and brackets: counting starts behind the last one.
    fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
            started_after_boot_seconds: ticks(22)? / TICKS_PER_SECOND,
        })
    }
}

/// The first number on the line that starts with `field`.
fn number_after(text: &str, field: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Open descriptors, without the one that lists them.
fn open_fds() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd")
        .ok()?
        .count()
        .saturating_sub(1);
    u32::try_from(count).ok().map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proc() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 250 150 0 0 20 0 9 0 12345 1 2";
        let stat = Stat::parse(stat).expect("valid");
        assert!((stat.cpu_seconds - 4.0).abs() < 1e-9);
        assert!((stat.started_after_boot_seconds - 123.45).abs() < 1e-9);
        assert!(Stat::parse("").is_none());
        assert!(Stat::parse("7 (a) S 1").is_none());

        let text =
            "Threads:\t9\nVmRSS:\t  2048 kB\nMax open files            1024        4096  files\n";
        assert_eq!(number_after(text, "VmRSS:"), Some(2048.0));
        assert_eq!(number_after(text, "Max open files"), Some(1024.0));
        assert_eq!(number_after(text, "Nothing:"), None);
        assert_eq!(
            number_after("Max open files  unlimited", "Max open files"),
            None
        );
    }
}
