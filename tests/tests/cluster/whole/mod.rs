//! What needs the cluster with its real nodes for itself, since it changes what others rely on. By its name it comes last,
//! so that tests which can share the cluster don't wait for it.

mod faults;
mod namespaces;
mod nodes;
mod teardown;
mod unreadable;
