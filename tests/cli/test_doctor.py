"""`doctor`: each thing that is missing in a line of its own, with its remedy."""

import pytest


async def test_what_is_missing_is_said_with_a_remedy_each_and_one_hides_no_other(bench):
    bench.write()
    said = await bench.run("doctor", PROVISIONER_CLIENT_SECRET=None)

    assert said.code == 1
    bad = [line for line in said.out.splitlines() if line.startswith("BAD")]
    assert any("there is no adapter none0" in line for line in bad)
    assert any("credentials" in line for line in bad)
    assert said.out.count("     DO: ") >= len(bad)
    assert said.out.splitlines()[-1] == "2 things to mend."


async def test_the_cloud_is_asked_with_the_right_client_and_the_clock_compared(bench):
    bench.write()
    said = await bench.call("doctor", "--json")
    told = {finding["what"]: finding for finding in said.json["findings"]}

    assert told["cloud"]["remedy"] == ""
    assert "off the cloud's" in told["clock"]["detail"], "the simulated cloud lives in another week"
    assert bench.cloud.client_secret not in said.out + said.err


@pytest.mark.parametrize("settings", ["", "product: tempmon-v100\n"])
async def test_a_wrong_secret_is_the_clouds_word(bench, settings):
    bench.write(settings=settings)
    said = await bench.call("doctor", PROVISIONER_CLIENT_SECRET="0" * 40)

    assert said.code == 1
    assert "0" * 40 not in said.out + said.err
    assert "BAD  cloud: " in said.out
    assert "PROVISIONER_CLIENT_SECRET" in said.out


@pytest.mark.parametrize("settings", ["", "product: tempmon-v100\n"])
async def test_what_is_in_the_way_to_the_cloud_is_named(bench, settings):
    """Here the bench's own cloud, which speaks plain HTTP where TLS is expected."""
    bench.write(settings=settings)
    path = bench.folder / "config" / "line.yaml"
    path.write_text(path.read_text().replace("'http://127.0.0.1:", "'https://127.0.0.1:"))
    said = await bench.call("doctor")

    assert said.code == 1
    assert "what answers there does not speak TLS" in said.out


async def test_bad_settings_are_named_line_by_line_and_none_at_all_is_exit_code_2(bench):
    (bench.folder / "config" / "line.yaml").write_text(
        "version: 1\nstations: [{name: A, adapter: wlan0, uplnk: shared}]\n"
    )
    said = await bench.call("doctor")
    assert said.code == 1
    assert "uplnk" in said.out

    (bench.folder / "config" / "line.yaml").unlink()
    assert (await bench.call("doctor")).code == 2


async def test_a_folder_that_cannot_be_written_is_said(bench):
    bench.write()
    said = await bench.call("doctor", "--runs-dir", "/proc/no-such-folder")

    assert "BAD  disk: /proc cannot be written" in said.out
