//! The kinds of fault. Each makes its fault, waits as long as it is to last, and says how long the
//! show may be without calls, as the table of faults has it.

use std::time::Duration;

use super::show::{ABANDON_MS, LEASE, Show};
use crate::support::proxy::Way;

/// A kind of fault.
pub struct Kind {
    pub name: &'static str,
    pub run: fn(&mut Show) -> Duration,
    /// The show cannot go on after it as it was.
    pub is_last: bool,
}

const fn kind(name: &'static str, run: fn(&mut Show) -> Duration) -> Kind {
    Kind {
        name,
        run,
        is_last: false,
    }
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    kind("kill-owner", kill_owner),
    kind("kill-other", kill_other),
    kind("kill-owner-and-next", kill_owner_and_next),
    kind("kill-all", kill_all),
    kind("pause-short", pause_short),
    kind("pause-long", pause_long),
    kind("pause-before-call", pause_before_call),
    kind("planned", planned),
    kind("rolling-restart", rolling_restart),
    kind("database-cut-owner", database_cut_owner),
    kind("database-silent-owner", database_silent_owner),
    kind("database-cut-other", database_cut_other),
    kind("database-cut-all", database_cut_all),
    kind("database-slow", database_slow),
    kind("take-unanswered", take_unanswered),
    kind("api-cut", api_cut),
    kind("api-hangs", api_hangs),
    kind("api-replies-lost", api_replies_lost),
    kind("api-buffered-and-killed", api_buffered_and_killed),
    kind("standby-stopped", standby_stopped),
    kind("commits-terminated", commits_terminated),
    kind("commits-cancelled", commits_cancelled),
    kind("commits-slow", commits_slow),
    kind("primary-stopped", primary_stopped),
    kind("sessions-terminated", sessions_terminated),
    kind("table-locked", table_locked),
    kind("disk-full", disk_full),
    kind("connections-used-up", connections_used_up),
    kind("clock-off", clock_off),
    Kind {
        name: "primary-killed",
        run: primary_killed,
        is_last: true,
    },
];

/// What a plain call takes at most, with what paces it.
const CALL: Duration = Duration::from_secs(1);

/// From an owner's last sign of life to the calls of the next: its beat stands still for the lease at most,
/// the random pause, the take, and its calls count for a second and for `abandon_ms` more.
const TAKE: Duration = LEASE.saturating_add(Duration::from_millis(2600 + ABANDON_MS));

fn wait(duration: Duration) {
    std::thread::sleep(duration);
}

fn kill_owner(show: &mut Show) -> Duration {
    let owner = show.owner();
    show.kill(owner);
    if show.random.bool() {
        show.start_node(owner);
    }
    // Whichever node it is: one that was started again is another.
    show.await_calls();
    TAKE
}

fn kill_other(show: &mut Show) -> Duration {
    let other = show.other();
    show.kill(other);
    wait(show.span(200..1500));
    CALL
}

/// What was inherited is inherited again.
fn kill_owner_and_next(show: &mut Show) -> Duration {
    let owner = show.owner();
    show.kill(owner);
    let next = show.owner_but(Some(owner));
    wait(show.span(0..1500));
    show.kill(next);
    show.owner_but(Some(next));
    TAKE * 2
}

/// Nobody is left, and all start again.
fn kill_all(show: &mut Show) -> Duration {
    let gone = show.span(0..2000);
    let nodes = 0..show.nodes.len();
    nodes.clone().for_each(|nth| show.kill(nth));
    wait(gone);
    nodes.for_each(|nth| show.start_node(nth));
    gone + TAKE + CALL * 2
}

fn pause_short(show: &mut Show) -> Duration {
    let owner = show.owner();
    let pause = show.span(200..2500);
    show.signal(owner, "STOP");
    wait(pause);
    show.signal(owner, "CONT");
    pause + CALL
}

fn pause_long(show: &mut Show) -> Duration {
    let owner = show.owner();
    show.signal(owner, "STOP");
    // It wakes when another owns, and what it had begun to send then goes on.
    wait(LEASE + show.span(300..1500));
    show.signal(owner, "CONT");
    TAKE
}

/// Between the commit of an attempt and its call; it wakes when another owns.
fn pause_before_call(show: &mut Show) -> Duration {
    show.restart_as(true);
    let owner = show.stop_at_call();
    wait(LEASE + show.span(300..1500));
    show.signal(owner, "CONT");
    show.owner_but(Some(owner));
    wait(show.span(0..2000));
    show.restart_as(false);
    TAKE + CALL
}

fn planned(show: &mut Show) -> Duration {
    let owner = show.owner();
    show.end(owner);
    show.owner_but(Some(owner));
    CALL * 2
}

fn rolling_restart(show: &mut Show) -> Duration {
    let mut nodes: Vec<_> = (0..show.nodes.len()).collect();
    show.random.shuffle(&mut nodes);
    for node in nodes {
        show.end(node);
        show.start_node(node);
        show.await_calls();
    }
    CALL * 2
}

fn database_cut_owner(show: &mut Show) -> Duration {
    let (owner, cut) = (show.owner(), show.span(200..6000));
    show.database_way(owner, Way::Cut);
    wait(cut);
    show.database_way(owner, Way::Open);
    TAKE + CALL
}

fn database_silent_owner(show: &mut Show) -> Duration {
    let (owner, silent) = (show.owner(), show.span(200..6000));
    show.database_way(owner, Way::Held);
    wait(silent);
    show.database_way(owner, Way::Open);
    TAKE + CALL
}

fn database_cut_other(show: &mut Show) -> Duration {
    let (other, cut) = (show.other(), show.span(200..6000));
    show.database_way(other, Way::Cut);
    wait(cut);
    CALL
}

fn database_cut_all(show: &mut Show) -> Duration {
    let cut = show.span(200..6000);
    let nodes = 0..show.nodes.len();
    nodes
        .clone()
        .for_each(|nth| show.database_way(nth, Way::Cut));
    wait(cut);
    nodes.for_each(|nth| show.database_way(nth, Way::Open));
    // Whether the owner's beat or another's look comes first is chance.
    cut + TAKE
}

fn database_slow(show: &mut Show) -> Duration {
    let way = Way::Slow(show.span(20..250));
    (0..show.nodes.len()).for_each(|nth| show.database_way(nth, way));
    wait(show.span(2000..4000));
    CALL * 3
}

/// The owner dies, and whoever takes does not hear that it has.
fn take_unanswered(show: &mut Show) -> Duration {
    let owner = show.owner();
    show.kill(owner);
    wait(LEASE.saturating_sub(show.span(100..600)));
    let others = (0..show.nodes.len()).filter(|nth| *nth != owner);
    others
        .clone()
        .for_each(|nth| show.database_way(nth, Way::Mute));
    wait(show.span(1000..3500));
    // What was answered is lost for good, and not late.
    others
        .clone()
        .for_each(|nth| show.database_way(nth, Way::Cut));
    others.for_each(|nth| show.database_way(nth, Way::Open));
    TAKE * 2
}

fn api_cut(show: &mut Show) -> Duration {
    let (owner, cut) = (show.owner(), show.span(200..4000));
    show.nodes[owner].api.set(Way::Cut);
    wait(cut);
    show.nodes[owner].api.set(Way::Open);
    cut + CALL * 5
}

fn api_hangs(show: &mut Show) -> Duration {
    let hang = show.span(500..4000);
    let fault = r#"{"kind":"hang","probability":1.0}"#;
    show.emulator.api.faults(fault);
    wait(hang);
    show.emulator.api.no_faults();
    hang + CALL * 5
}

fn api_replies_lost(show: &mut Show) -> Duration {
    let fault = format!(
        r#"{{"kind":"reply_lost","probability":0.5,"seed":{}}}"#,
        show.random.u32(..)
    );
    show.emulator.api.faults(&fault);
    wait(show.span(1000..4000));
    CALL * 4
}

/// What an owner sent is still on its way when it dies, and arrives when another node sends.
fn api_buffered_and_killed(show: &mut Show) -> Duration {
    let owner = show.owner();
    show.nodes[owner].api.set(Way::Held);
    wait(show.span(100..900));
    show.kill(owner);
    // Within `abandon_ms` of the take.
    wait(show.span(200..4400));
    show.nodes[owner].api.set(Way::Open);
    show.owner_but(Some(owner));
    TAKE + CALL
}

fn standby_stopped(show: &mut Show) -> Duration {
    let stop = show.span(500..6000);
    show.database.freeze_standby();
    wait(stop);
    show.database.thaw_standby();
    stop + CALL * 3
}

fn commits_terminated(show: &mut Show) -> Duration {
    end_waiting_commits(show, "pg_terminate_backend")
}

fn commits_cancelled(show: &mut Show) -> Duration {
    end_waiting_commits(show, "pg_cancel_backend")
}

/// The standby is gone, and those that wait for it are told not to.
fn end_waiting_commits(show: &mut Show, how: &str) -> Duration {
    let sql = show.sql();
    let rounds = show.random.u32(5..25);
    show.database.freeze_standby();
    for _ in 0..rounds {
        wait(show.span(50..200));
        sql.rows(&format!(
            "SELECT {how}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        ));
    }
    show.database.thaw_standby();
    Duration::from_millis(200) * rounds + CALL * 3
}

/// Half a second each, as the standby is far away.
fn commits_slow(show: &mut Show) -> Duration {
    show.replication.set(Way::Slow(Duration::from_millis(250)));
    wait(show.span(3000..6000));
    CALL * 3
}

fn primary_stopped(show: &mut Show) -> Duration {
    let stop = show.span(200..5000);
    show.database.primary.signal("STOP");
    wait(stop);
    show.database.primary.signal("CONT");
    stop + TAKE
}

/// Again and again, as by an operator who looks for the wrong culprit.
fn sessions_terminated(show: &mut Show) -> Duration {
    let sql = show.sql();
    for _ in 0..show.random.u32(2..8) {
        wait(show.span(100..600));
        sql.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'cuegate'",
        );
    }
    CALL * 3
}

/// Longer than a session waits for it.
fn table_locked(show: &mut Show) -> Duration {
    let sql = show.sql();
    let locked = show.span(500..5000);
    sql.rows("BEGIN");
    sql.rows("LOCK TABLE cuegate_log IN ACCESS EXCLUSIVE MODE");
    wait(locked);
    sql.rows("COMMIT");
    locked + CALL * 3
}

/// The database can write no more of the log, and can again.
fn disk_full(show: &mut Show) -> Duration {
    let sql = show.sql();
    let full = show.span(500..5000);
    sql.rows(
        "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
        END $$",
    );
    sql.rows("CREATE TRIGGER full_disk BEFORE INSERT ON cuegate_log EXECUTE FUNCTION full_disk()");
    wait(full);
    sql.rows("DROP TRIGGER full_disk ON cuegate_log");
    full + CALL * 3
}

/// Others have all connections of the database, and the nodes lose theirs.
fn connections_used_up(show: &mut Show) -> Duration {
    let full = show.span(500..5000);
    let nodes = 0..show.nodes.len();
    nodes
        .clone()
        .for_each(|nth| show.database_way(nth, Way::Cut));
    // The nodes' own sessions end a little later than their connections.
    let mut used = Vec::new();
    for _ in 0..10 {
        used.extend(std::iter::from_fn(|| show.session()));
        wait(Duration::from_millis(30));
    }
    nodes.for_each(|nth| show.database_way(nth, Way::Open));
    wait(full);
    full + TAKE
}

/// The owner goes by a clock that is an hour off, and another by the true one after it.
fn clock_off(show: &mut Show) -> Duration {
    let owner = show.owner();
    let hour = if show.random.bool() { 3600 } else { -3600 };
    if let Some(clock) = &show.nodes[owner].clock {
        clock.set(hour);
    }
    wait(show.span(1500..3000));
    show.kill(owner);
    show.owner_but(Some(owner));
    TAKE + Duration::from_secs(3)
}

fn primary_killed(show: &mut Show) -> Duration {
    show.database.primary.kill();
    let gone = show.span(200..4000);
    wait(gone);
    show.database.standby.as_ref().expect("a standby").promote();
    gone + TAKE
}
