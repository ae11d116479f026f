//! The SWD wire during one command: transfers one after the other, and the time they take.

use std::sync::atomic::Ordering;

use super::dap::{Answer, Dap, Transfer};
use super::faults::Spoiled;
use super::link::wire_ns;
use super::target::Target;

/// What one command has come to.
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    /// What was read, one per transfer that was acknowledged.
    pub(crate) values: Vec<u32>,
}

/// The wire during one command.
pub(crate) struct Wire<'a> {
    target: &'a Target,
    hz: u32,
    /// Transfers so far.
    spent: u64,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(target: &'a Target, hz: u32) -> Self {
        Self { target, hz, spent: 0 }
    }

    pub(crate) fn target(&self) -> &'a Target {
        self.target
    }

    /// Transfers so far, repetitions included.
    pub(crate) fn spent(&self) -> u64 {
        self.spent
    }

    /// Transfers one after the other, until one is not acknowledged.
    pub(crate) fn run(&mut self, transfers: &[Transfer], dap: &mut Dap) -> Outcome {
        let mut values = Vec::with_capacity(transfers.len());
        let mut answer = Answer::Ok(0);
        for transfer in transfers {
            answer = self.transfer(*transfer, dap);
            let Answer::Ok(value) = answer else {
                break;
            };
            if transfer.write.is_none() {
                values.push(value);
            }
        }
        // Reads of the access port are posted: the last value comes with one more transfer, of RDBUFF
        // (ARM IHI 0031, B4.2.2).
        if transfers.last().is_some_and(|last| last.access && last.write.is_none()) {
            self.spend(1);
        }
        Outcome { answer, values }
    }

    fn transfer(&mut self, transfer: Transfer, dap: &mut Dap) -> Answer {
        let mut retries = self.target.link.wait_retries;
        loop {
            self.spend(1);
            let asleep = self.target.shown.asleep.load(Ordering::Acquire);
            let spoiled = self.target.faults.spoil(transfer.access, asleep);
            let answer = dap.transfer(transfer, spoiled, self.target);
            let (Answer::Wait, Spoiled::Wait(times)) = (answer, spoiled) else {
                return answer;
            };
            // The first WAIT is answered by `times - 1` repetitions that end with WAIT as well.
            let again = u32::try_from(times - 1).unwrap_or(u32::MAX).min(retries);
            self.spend(again);
            retries -= again;
            self.target.faults.waited(u64::from(again) + 1);
            if retries == 0 {
                return Answer::Wait;
            }
            retries -= 1;
        }
    }

    fn spend(&mut self, transfers: u32) {
        self.spent += u64::from(transfers);
        self.target.tally.transactions.add(u64::from(transfers));
        self.target.pass(wire_ns(u64::from(transfers), self.hz));
    }
}
