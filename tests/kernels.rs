//! Kernels found without an agent, on small C programs that lay their structures out as the kernels document them.
//!
//! The programs are in `tests/fixtures/kernels`; they are compiled here, so these tests need a cross compiler. What is
//! linked is loaded as a memory image; nothing of it runs.

#[path = "kernels/compile.rs"]
mod compile;
#[path = "kernels/damage.rs"]
mod damage;
#[path = "kernels/fixture.rs"]
mod fixture;
#[path = "kernels/freertos.rs"]
mod freertos;
#[path = "kernels/objects.rs"]
mod objects;
#[path = "kernels/rtx5.rs"]
mod rtx5;
#[path = "kernels/threadx.rs"]
mod threadx;
#[path = "kernels/types.rs"]
mod types;
#[path = "kernels/zephyr.rs"]
mod zephyr;
