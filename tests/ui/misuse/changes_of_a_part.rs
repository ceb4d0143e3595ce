use audit_runtime::audited;

struct User {
    name: String,
}

#[audited(event = "user.renamed", id = none, changes(user.name, other.name))]
fn twice(user: &mut User, other: &mut User) {}

#[audited(event = "user.renamed", id = none, changes(user.name))]
fn shared(user: &User) {}

#[audited(event = "user.renamed", id = none, changes(user.name.len()))]
fn call(user: &mut User) {}

fn main() {}
