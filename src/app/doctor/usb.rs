//! Whether this user may open the USB devices that debug probes are, on Linux: the one thing that most often stands in
//! the way, and that a probe's driver tells only as a failure to open.

use std::io;
use std::path::{Path, PathBuf};

/// USB vendors of debug probes, from probe-rs's own udev rules (`69-probe-rs.rules`): Arm and CMSIS-DAP, ST, SEGGER, NXP,
/// Raspberry Pi, Microchip, WCH.
const VENDORS: [&str; 7] = ["0d28", "0483", "1366", "1fc9", "2e8a", "03eb", "1a86"];
/// The most devices that are looked at.
const MAX_DEVICES: usize = 1024;

/// A USB device of a maker of debug probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    /// `0483:374b`, with its product name where it has one.
    pub(super) name: String,
    /// The file that has to be opened to talk to it.
    pub(super) node: PathBuf,
}

/// The devices below `sysfs` (`/sys/bus/usb/devices`) whose files `open` says this user may not open.
pub(super) fn denied(sysfs: &Path, open: impl Fn(&Path) -> io::Result<()>) -> Vec<Device> {
    let Ok(entries) = std::fs::read_dir(sysfs) else { return Vec::new() };
    let mut devices: Vec<Device> =
        entries.take(MAX_DEVICES).flatten().filter_map(|entry| device(&entry.path())).collect();
    devices.retain(|device| open(&device.node).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied));
    devices.sort_by(|one, other| one.node.cmp(&other.node));
    devices
}

/// Opens a device's file as a driver would, and closes it: nothing is sent.
pub(super) fn open(node: &Path) -> io::Result<()> {
    std::fs::OpenOptions::new().read(true).write(true).open(node).map(|_| ())
}

fn device(folder: &Path) -> Option<Device> {
    let text = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        Some(crate::units::printable(text.trim(), 80))
    };
    let (vendor, product) = (text("idVendor")?, text("idProduct")?);
    if !VENDORS.contains(&vendor.as_str()) {
        return None;
    }
    let number = |name: &str| text(name)?.parse::<u32>().ok();
    let node = format!("/dev/bus/usb/{:03}/{:03}", number("busnum")?, number("devnum")?);
    let name = match text("product") {
        Some(called) => format!("{vendor}:{product} ({called})"),
        None => format!("{vendor}:{product}"),
    };
    Some(Device { name, node: node.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_may_not_be_opened_is_found_and_others_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, files: &[(&str, &str)]| {
            let device = folder.path().join(name);
            std::fs::create_dir(&device).expect("it is new");
            for (file, text) in files {
                std::fs::write(device.join(file), format!("{text}\n")).expect("there is room");
            }
        };
        let usual = [("idProduct", "374b"), ("busnum", "1"), ("devnum", "4")];
        put("1-1", &[&[("idVendor", "0483"), ("product", "STM32 STLink")], &usual[..]].concat());
        put("1-2", &[&[("idVendor", "046d")], &usual[..]].concat());
        put("1-3", &[("idVendor", "0483"), ("idProduct", "3748"), ("busnum", "2"), ("devnum", "17")]);
        put("1-0:1.0", &[]);
        let deny = |_: &Path| Err(io::ErrorKind::PermissionDenied.into());
        let names = |devices: Vec<Device>| -> Vec<String> {
            devices.into_iter().map(|device| format!("{} {}", device.name, device.node.display())).collect()
        };
        assert_eq!(
            names(denied(folder.path(), deny)),
            ["0483:374b (STM32 STLink) /dev/bus/usb/001/004", "0483:3748 /dev/bus/usb/002/017"]
        );
        assert_eq!(denied(folder.path(), |_| Ok(())), []);
        assert_eq!(denied(folder.path(), |_| Err(io::ErrorKind::NotFound.into())), []);
        assert_eq!(denied(Path::new("/nowhere"), deny), []);
    }
}
