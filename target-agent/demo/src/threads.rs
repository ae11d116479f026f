//! The threads: one file each, as different as those of a real device.

pub mod alloc;
pub mod comms;
pub mod growth;
pub mod idle;
pub mod main;
pub mod sensor;
pub mod timer;
pub mod waiter;

/// What the tick does besides waking threads: every tenth millisecond it smooths the sensor's last samples, on the
/// interrupt stack.
pub fn from_tick(now: u32) {
    if now.is_multiple_of(10) {
        sensor::smooth_in_interrupt();
    }
}
