//! The audit trail from outside: what `cardcage audit` says of trails, and that a real run writes one that holds.

#![forbid(unsafe_code)]

mod made;
mod real;
mod rules;
mod trail;
