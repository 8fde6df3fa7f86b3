use super::*;
#[test]
fn tmp() {
    for f in std::env::var("GOBINS").unwrap().split(' ') {
        let t = std::time::Instant::now();
        let r = examine(&std::fs::File::open(f).unwrap());
        println!("{f} {:?} {:?}", t.elapsed(), r);
    }
}
