//! A recording replayed gives the same reports as the run that was recorded, whatever became of the recorder.

mod common;

use std::io::{self, Cursor, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use common::{INSTANT, emulation, image};
use highwater::app::replay::Player;
use highwater::cli::{Cli, Command};
use highwater::image::Image;
use highwater::image::layout;
use highwater::model::Model;
use highwater::model::snapshot::Health;
use highwater::recording::RecordingError;
use highwater::recording::calls::Call;
use highwater::recording::header::{Header, Identity};
use highwater::recording::reader::{Medium, Recording};
use highwater::recording::writer::{Head, Writer};
use highwater::region::Region;
use highwater::report::Report;
use highwater::sampler::{Options, Sampler, static_snapshot};
use highwater::simulator::{Fault, LinkModel};
use highwater::source::emulated::{self, Emulation};
use highwater::source::recorder::{Desk, Progress, Recorder};
use highwater::source::replay::Replay;
use highwater::source::{Depth, Source};
use proptest::prelude::*;

/// A file in this process.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn opened(bytes: Vec<u8>) -> Result<Recording, RecordingError> {
    let bytes: Arc<[u8]> = bytes.into();
    Recording::open(Arc::new(move || Ok(Box::new(Cursor::new(Arc::clone(&bytes))) as Box<dyn Medium>)))
}

fn head(image: &Image, rate_hz: Option<f64>) -> Head {
    let identity = Identity { name: "demo.elf".into(), size: 0, crc32: 0, build_id: None };
    Head::new(&Header::new(identity, Vec::new(), rate_hz, &layout::memories(image, &[])), None).expect("it is packed")
}

/// A sampler with its model, live or not.
struct Run {
    sampler: Sampler,
    model: Model,
}

impl Run {
    fn new(source: Box<dyn Source>, image: &Arc<Image>, rate_hz: Option<f64>) -> Self {
        let memories = layout::memories(image, &[]);
        let model = Model::new(static_snapshot(image, &memories));
        let mut sampler =
            Sampler::new(source, Arc::clone(image), memories, Options { rate_hz }).expect("the link works");
        sampler.verify().expect("the link works");
        Self { sampler, model }
    }

    fn refresh(&mut self, depth: Depth) -> String {
        let before = self.sampler.now();
        let observation = match depth {
            Depth::Steady => self.sampler.refresh(),
            Depth::Thorough => self.sampler.refresh_thoroughly(),
        };
        self.model.ingest(observation);
        self.sampler.wait(self.sampler.now().saturating_sub(before));
        report(&self.model)
    }
}

fn report(model: &Model) -> String {
    serde_json::to_string(&Report::new(model)).expect("a report is JSON")
}

/// What was recorded, the reports of the run, and how long the recording was after each.
struct Recorded {
    bytes: Vec<u8>,
    reports: Vec<String>,
    ends: Vec<usize>,
}

/// How a run goes: each seventh refresh or so is thorough.
fn depth(refresh: usize) -> Depth {
    if refresh % 7 == 6 { Depth::Thorough } else { Depth::Steady }
}

fn record(emulation: &Emulation, rate_hz: Option<f64>, refreshes: usize) -> Recorded {
    record_with(emulation, rate_hz, refreshes, &[])
}

/// Records a run in which something goes wrong: each fault so long after the run began.
fn record_with(
    emulation: &Emulation,
    rate_hz: Option<f64>,
    refreshes: usize,
    faults: &[(Duration, Fault)],
) -> Recorded {
    let (image, paper) = (image(), Paper::default());
    let (source, board) = emulated::open(emulation).expect("the board opens");
    let writer = Writer::new(Box::new(paper.clone()), &head(&image, rate_hz)).expect("it is written");
    let recorder = Recorder::recording(source, Desk::default(), "a".into(), writer);
    let mut run = Run::new(Box::new(recorder), &image, rate_hz);
    for (after, fault) in faults {
        board.inject_at(board.now() + *after, *fault);
    }
    let (mut reports, mut ends) = (Vec::new(), Vec::new());
    for refresh in 0..refreshes {
        reports.push(run.refresh(depth(refresh)));
        ends.push(paper.bytes().len());
    }
    Recorded { bytes: paper.bytes(), reports, ends }
}

/// Replays a recording and compares each report with the one of the run.
fn compare(bytes: Vec<u8>, reports: &[String], rate_hz: Option<f64>) {
    let recording = opened(bytes).expect("it can be read");
    assert_eq!(recording.refreshes(), reports.len() as u64);
    let mut run = Run::new(Box::new(Replay::from_start(&recording).expect("it can be read")), &image(), rate_hz);
    for (number, expected) in reports.iter().enumerate() {
        assert_eq!(recording.depth(number as u64), depth(number));
        assert_eq!(&run.refresh(recording.depth(number as u64)), expected, "refresh {number}");
    }
    assert_eq!(recording.end(), run.sampler.now());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_replay_gives_the_same_reports_byte_for_byte(
        scenario in 0u32..4,
        seed in 0u32..1000,
        link in 0usize..4,
        rate_hz in prop::sample::select(vec![None, Some(30.0), Some(200.0)]),
        faults in prop::collection::vec((0u64..2000, 0usize..4), 0..3),
        refreshes in 1usize..60,
    ) {
        let links = [INSTANT, LinkModel::hs(), LinkModel::fs(), LinkModel::hid()];
        let image = image();
        let emulation = emulation(&image, scenario, seed, links[link]);
        let faults = faults.into_iter().flat_map(|(after, kind)| {
            let after = Duration::from_millis(after);
            match kind {
                0 => vec![(after, Fault::Reset)],
                1 => vec![(after, Fault::PowerCycle)],
                _ => vec![(after, Fault::Unplug), (after + Duration::from_millis(150), Fault::Plug)],
            }
        });
        let recorded = record_with(&emulation, rate_hz, refreshes, &faults.collect::<Vec<_>>());
        compare(recorded.bytes, &recorded.reports, rate_hz);
    }
}

#[test]
fn reading_can_begin_at_every_keyframe() {
    const REFRESHES: u64 = 6500;
    let paper = Paper::default();
    let mut writer = Writer::new(Box::new(paper.clone()), &head(&image(), None)).expect("it is written");
    let refresh = |number: u64| {
        let low = number as u8;
        let read = |start: u32, bytes: Vec<u8>| Call::Read(Region::new(start, bytes.len() as u32), Ok(bytes));
        let far = 0x2000_0000 + (number as u32 * 40) % 0x1_0000;
        vec![Call::Now(Duration::from_millis(33 * number)), read(0x2000_0000, vec![low; 8]), read(far, vec![3, low, 5])]
    };
    for number in 0..REFRESHES {
        let depth = if number % 1000 == 7 { Depth::Thorough } else { Depth::Steady };
        writer.refreshing(depth).expect("it is written");
        refresh(number).iter().for_each(|call| writer.call(call));
        writer.refreshed().expect("it is written");
    }
    assert_eq!(writer.bytes(), paper.bytes().len() as u64);
    let recording = opened(paper.bytes()).expect("it can be read");
    assert_eq!(recording.refreshes(), REFRESHES);
    assert_eq!(recording.end(), Duration::from_millis(33 * (REFRESHES - 1)));
    let mut keyframes = 0;
    for (wanted, at) in [(0, 0), (2999, 0), (3000, 3000), (5999, 3000), (6100, 6000), (REFRESHES + 9, 6000)] {
        assert_eq!(recording.keyframe_before(wanted), at);
        let mut tape = recording.tape(wanted).expect("it can be read");
        for number in at..REFRESHES {
            assert_eq!(tape.next().expect("it is sound"), Some(refresh(number)), "refresh {number} from {at}");
        }
        assert_eq!(tape.next().expect("it is sound"), None);
        keyframes += 1;
    }
    assert_eq!(keyframes, 6);
    assert_eq!(recording.keyframe_at(Duration::from_millis(33 * 4000)), 3000);
    assert_eq!((recording.depth(2007), recording.depth(2008)), (Depth::Thorough, Depth::Steady));
}

#[test]
fn a_recording_of_version_1_still_opens() {
    let bytes = include_bytes!("fixtures/recordings/v1.hwr").to_vec();
    let recording = opened(bytes).expect("it can be read");
    let elf = recording.elf().expect("its ELF is in it");
    assert!(recording.header().elf.is_of(elf));
    let image = Arc::new(Image::parse(Path::new("small.elf"), elf).expect("it is sound"));
    let memories = recording.header().memories();
    let options = Options { rate_hz: recording.header().rate_hz };
    let source = Replay::from_start(&recording).expect("it can be read");
    let mut model = Model::new(static_snapshot(&image, &memories));
    let mut sampler = Sampler::new(Box::new(source), image, memories, options).expect("the link worked");
    assert_eq!(sampler.verify(), Ok(None));
    for number in 0..recording.refreshes() {
        model.ingest(match recording.depth(number) {
            Depth::Steady => sampler.refresh(),
            Depth::Thorough => sampler.refresh_thoroughly(),
        });
    }
    let peak = |name: &str| {
        let stack = model.snapshot.stacks.iter().find(|stack| stack.name == name);
        stack.and_then(|stack| stack.peak).map(|peak| peak.bytes)
    };
    // What the run that was recorded said of itself at its end.
    for (name, bytes) in [("ISR", 232), ("main", 848), ("timer", 88), ("sensor", 408), ("growth", 1888)] {
        assert_eq!(peak(name), Some(bytes), "{name}");
    }
    let heap = &model.snapshot.heaps[0];
    assert_eq!((heap.used.map(|used| used.bytes), heap.peak.map(|peak| peak.bytes)), (Some(14414), Some(20255)));
    assert_eq!((model.snapshot.at.as_millis(), recording.torn()), (3034, 0));
}

#[test]
fn a_player_goes_to_any_moment_and_knows_there_what_the_run_knew() {
    let recorded = record(&emulation(&image(), 1, 2, INSTANT), Some(30.0), 300);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.hwr");
    let elf = std::fs::read(common::DEMO).expect("the demo's ELF is there");
    let header =
        Header::new(Identity::of("demo.elf", &elf, None), Vec::new(), Some(30.0), &layout::memories(&image(), &[]));
    // The same refreshes behind a head with the ELF.
    let begin = Paper::default();
    let none = Head::new(&header, Some(&elf)).expect("it is packed");
    Writer::new(Box::new(begin.clone()), &none).expect("it is written");
    let plain = Paper::default();
    Writer::new(Box::new(plain.clone()), &head(&image(), Some(30.0))).expect("it is written");
    let whole = [begin.bytes(), recorded.bytes[plain.bytes().len()..].to_vec()].concat();
    std::fs::write(&file, whole).expect("a file can be written");
    let cli = Cli::try_parse_from(["highwater", "replay", file.to_str().expect("a plain path")]).expect("it parses");
    let Command::Replay(args) = cli.command else { panic!("it is a replay") };
    let rules = highwater::config::Settings::default().rules(None);
    let mut player = Player::open(&args, rules).expect("it opens");
    assert!(player.step() && report(player.model()) == recorded.reports[0]);
    for (wanted, found) in [(200, 200), (199, 199), (1, 1), (300, 300), (999, 300), (0, 1), (57, 57)] {
        player.go_to(wanted).expect("it can be read");
        assert_eq!((player.played(), player.knows_all()), (found, true));
        assert_eq!(report(player.model()), recorded.reports[found as usize - 1], "refresh {found}");
    }
    for seconds in [4, 2, 0, 9, 100] {
        player.go_to_time(Duration::from_secs(seconds)).expect("it can be read");
        assert_eq!(report(player.model()), recorded.reports[player.played() as usize - 1], "at {seconds} s");
        let at = player.at();
        assert!(at >= Duration::from_secs(seconds) && at < Duration::from_secs(seconds + 1) || player.played() == 300);
    }
    assert!(!player.step(), "it ends");
}

/// The demo's emulated time in which the file's growth is measured, in seconds.
const MEASURED: usize = 60;

#[test]
fn a_recording_grows_evenly_and_slowly() {
    let recorded = record(&emulation(&image(), 0, 1, LinkModel::hs()), Some(30.0), 30 * MEASURED);
    let (half, whole) = (recorded.ends[15 * MEASURED] - recorded.ends[0], recorded.bytes.len() - recorded.ends[0]);
    let per_hour = whole * 3600 / MEASURED;
    println!("{MEASURED} s of the calm demo at 30 Hz: {whole} B, which is {:.1} MB an hour", per_hour as f64 / 1e6);
    assert!(per_hour < 16_000_000, "{per_hour} B an hour");
    assert!((whole * 2 / 5..whole * 3 / 5).contains(&half), "{half} of {whole} B in the first half");
}

/// All that is in the refreshes of a recording.
fn calls(recording: &Recording) -> Vec<Vec<Call>> {
    let mut tape = recording.tape(0).expect("it can be read");
    std::iter::from_fn(|| tape.next().expect("it is sound")).collect()
}

#[test]
fn a_recorder_that_is_killed_at_any_byte_loses_at_most_the_last_refresh() {
    let image = image();
    let recorded = record(&emulation(&image, 1, 1, INSTANT), Some(30.0), 8);
    let whole = calls(&opened(recorded.bytes.clone()).expect("it can be read"));
    assert_eq!(whole.len(), 8);
    let mut replayed = 0;
    for cut in 0..recorded.bytes.len() {
        let complete = recorded.ends.iter().filter(|end| **end <= cut).count();
        let recording = match opened(recorded.bytes[..cut].to_vec()) {
            Ok(recording) => recording,
            Err(RecordingError::NoHeader | RecordingError::NoRecording) => {
                assert_eq!(complete, 0, "cut at {cut}");
                continue;
            }
            Err(error) => panic!("cut at {cut}: {error}"),
        };
        assert_eq!(recording.refreshes(), complete as u64, "cut at {cut}");
        // What was written of the refresh that is cut off is said to be there.
        let whole_chunks = recorded.ends[..complete].last().copied().unwrap_or(0);
        assert!(recording.torn() <= (cut - whole_chunks) as u64, "cut at {cut}");
        assert_eq!(calls(&recording), whole[..complete], "cut at {cut}");
        if recorded.ends.contains(&cut) {
            compare(recorded.bytes[..cut].to_vec(), &recorded.reports[..complete], Some(30.0));
            assert_eq!(recording.torn(), 0);
            replayed += 1;
        }
    }
    assert_eq!(replayed, 7);
}

#[test]
fn a_recording_that_begins_in_the_middle_of_a_run_shows_the_same_memory() {
    let (image, desk) = (image(), Desk::default());
    let (source, _board) = emulated::open(&emulation(&image, 1, 1, LinkModel::hs())).expect("the board opens");
    let mut live = Run::new(Box::new(Recorder::new(source, desk.clone())), &image, Some(30.0));
    for _ in 0..150 {
        live.refresh(Depth::Steady);
    }
    assert_eq!(desk.progress(), Progress::Off);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.hwr");
    let file = std::fs::File::create(&path).expect("a file can be made");
    desk.begin(path.clone(), file, head(&image, Some(30.0)));
    for _ in 0..40 {
        live.refresh(Depth::Steady);
    }
    let last = live.model.snapshot.clone();
    desk.end();
    live.refresh(Depth::Steady);
    let bytes = std::fs::read(&path).expect("it is there");
    assert_eq!(desk.progress(), Progress::Done { file: path, bytes: bytes.len() as u64 });
    let recording = opened(bytes).expect("it can be read");
    assert_eq!((recording.refreshes(), recording.torn()), (40, 0));
    let mut run = Run::new(Box::new(Replay::from_start(&recording).expect("it can be read")), &image, Some(30.0));
    for _ in 0..40 {
        run.refresh(Depth::Steady);
    }
    let replayed = &run.model.snapshot;
    assert_eq!(replayed.health, Health::Live);
    let told = |snapshot: &highwater::model::snapshot::Snapshot| {
        let mut stacks: Vec<_> =
            snapshot.stacks.iter().map(|stack| (stack.name.clone(), stack.peak.map(|peak| peak.bytes))).collect();
        stacks.sort();
        stacks
    };
    assert_eq!(told(replayed), told(&last));
    assert!(replayed.at > Duration::from_secs(4), "its time is that of the run: {:?}", replayed.at);
}

#[test]
fn a_clock_that_goes_back_or_too_far_does_not() {
    let played = |times: [Duration; 3]| {
        let paper = Paper::default();
        let mut writer = Writer::new(Box::new(paper.clone()), &head(&image(), None)).expect("it is written");
        writer.refreshing(Depth::Steady).expect("it is written");
        times.iter().for_each(|time| writer.call(&Call::Now(*time)));
        writer.refreshed().expect("it is written");
        let mut replay = Replay::from_start(&opened(paper.bytes()).expect("it can be read")).expect("it can be read");
        replay.refreshing(Depth::Steady);
        times.map(|_| replay.now())
    };
    let s = Duration::from_secs;
    assert_eq!(played([s(1), s(5), s(2)]), [s(1), s(5), s(5)]);
    assert_eq!(played([s(1), s(1 << 40), s(2)]), [s(0), s(0), s(0)], "what makes no sense is not played");
}

#[test]
fn what_is_no_recording_is_named() {
    for (bytes, said) in [
        (&b""[..], "is no recording"),
        (b"\x7fELF", "is no recording"),
        (b"\x89HW", "ends in its header"),
        (b"\x89HWR\r\n\x1a\n\x01\0\0\0H", "ends in its header"),
        (b"\x89HWR\r\n\x1a\n\x02\0\0\0H", "version 2"),
        (b"\x89HWR\n\x1a\n\x01\0\0\0H", "is no recording"),
    ] {
        let error = opened(bytes.to_vec()).expect_err("it is none").to_string();
        assert!(error.contains(said), "{bytes:?}: {error}");
    }
}

#[test]
fn a_recording_has_its_elf_and_knows_it_again() {
    let elf = std::fs::read(common::DEMO).expect("the demo's ELF is there");
    let identity = Identity::of("demo\x1b[31m.elf", &elf, None);
    let image = Image::parse(Path::new("demo.elf"), &elf).expect("it is sound");
    let header = Header::new(identity, Vec::new(), None, &layout::memories(&image, &[]));
    let paper = Paper::default();
    Writer::new(Box::new(paper.clone()), &Head::new(&header, Some(&elf)).expect("it is packed"))
        .expect("it is written");
    let bytes = paper.bytes();
    println!("the demo's ELF of {} B takes {} B in a recording", elf.len(), bytes.len());
    let recording = opened(bytes).expect("it can be read");
    assert_eq!(recording.elf(), Some(elf.as_slice()));
    assert!(recording.header().elf.is_of(&elf) && !recording.header().elf.is_of(&elf[1..]));
    assert!(!recording.header().elf.name.contains('\x1b'));
    assert_eq!(recording.header().memories(), layout::memories(&image, &[]));
}
