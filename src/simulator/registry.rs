//! How probe-rs finds the boards of this process: a plugin with a probe factory.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Once, Weak};

use probe_rs::plugin::{Plugin, register_plugin};
use probe_rs::probe::list::ProbeListItem;
use probe_rs::probe::{
    DebugProbe, DebugProbeError, DebugProbeInfo, DebugProbeSelector, ProbeCreationError, ProbeFactory,
};

use super::locked;
use super::probe::{NAME, SimulatedProbe};
use super::target::Target;

/// The test identifiers of pid.codes: never those of a product.
const VENDOR: u16 = 0x1209;
const PRODUCT: u16 = 0x0001;

/// The boards of this process, by serial number.
static BOARDS: Mutex<Vec<Weak<Target>>> = Mutex::new(Vec::new());
static FACTORY: SimulatedProbeFactory = SimulatedProbeFactory;
static REGISTERED: Once = Once::new();

/// Makes the simulated probe known to probe-rs, once per process, and the board to it.
pub(crate) fn register(target: &Arc<Target>) {
    REGISTERED.call_once(|| register_plugin(Plugin { probe_drivers: &[&FACTORY], ..Plugin::default() }));
    let mut boards = locked(&BOARDS);
    boards.retain(|board| board.strong_count() > 0);
    boards.push(Arc::downgrade(target));
}

/// Whether a board of this process already has this serial number.
pub(crate) fn taken(serial: &str) -> bool {
    present().iter().any(|target| target.serial == serial)
}

pub(crate) fn selector(serial: &str) -> DebugProbeSelector {
    DebugProbeSelector {
        vendor_id: VENDOR,
        product_id: PRODUCT,
        interface: None,
        serial_number: Some(serial.to_owned()),
    }
}

pub(crate) fn info(serial: &str) -> DebugProbeInfo {
    DebugProbeInfo::new(NAME, VENDOR, PRODUCT, Some(serial.to_owned()), &FACTORY, None, false)
}

fn present() -> Vec<Arc<Target>> {
    locked(&BOARDS).iter().filter_map(Weak::upgrade).collect()
}

/// Finds and opens the probes of the boards in this process.
#[derive(Debug)]
struct SimulatedProbeFactory;

impl fmt::Display for SimulatedProbeFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated")
    }
}

impl ProbeFactory for SimulatedProbeFactory {
    fn open(&self, selector: &DebugProbeSelector) -> Result<Box<dyn DebugProbe>, DebugProbeError> {
        let target = present()
            .into_iter()
            .find(|target| target.reachable() && selector.matches_probe(&info(&target.serial)))
            .ok_or(ProbeCreationError::NotFound)?;
        if target.opened.swap(true, Ordering::AcqRel) {
            return Err(ProbeCreationError::CouldNotOpen.into());
        }
        Ok(Box::new(SimulatedProbe::new(target)))
    }

    fn list_probes(&self) -> Vec<ProbeListItem> {
        let boards = present().into_iter().filter(|target| target.reachable());
        boards.map(|target| ProbeListItem::accessible(info(&target.serial))).collect()
    }
}
