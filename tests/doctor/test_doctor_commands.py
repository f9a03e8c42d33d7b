"""Both commands: what they print, the JSON, and the exit code."""

from __future__ import annotations

import json
import subprocess

import pytest
from programs import run_program

from erc.__main__ import main as front_door
from erc.doctor import commands, findings
from erc.doctor.findings import Finding
from erc.doctor.plan import Plan


@pytest.mark.parametrize("command", ["corpus", "environment"])
def test_the_json_holds_what_its_schema_says(command, found):
    content = json.loads(findings.to_json(command, {"root": "data"}, found))
    assert set(content) == {"schema", "command", "arguments", "level", "exit_code", "n", "findings"}
    assert content["schema"] == 2 and content["command"] == command
    assert (content["level"], content["exit_code"]) == ("do not start", 2)
    assert sum(content["n"].values()) == len(content["findings"]) == len(found)
    keys = {"name", "severity", "corpus", "expected", "got", "where", "advice", "table"}
    assert all(set(finding) == keys for finding in content["findings"])
    assert all(finding["severity"] in findings.SEVERITIES for finding in content["findings"])


@pytest.mark.parametrize(
    ("severity", "code"), [("ok", 0), ("note", 0), ("warning", 1), ("problem", 2)], ids=lambda value: str(value)
)
def test_the_exit_code_has_three_levels(severity, code, monkeypatch, capsys, tmp_path):
    found = [Finding("folder", severity, "what came"), Finding("speakers", "ok", "fine")]
    monkeypatch.setattr(commands, "diagnose_corpus", lambda **_: found)
    target = tmp_path / "new" / "findings.json"
    with pytest.raises(SystemExit) as stop:
        commands.corpus(json=str(target), verbose=True)
    assert stop.value.code == code
    assert "what came" in capsys.readouterr().out
    assert json.loads(target.read_text(encoding="utf-8"))["exit_code"] == code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exclude": "some"}, "exclude must be one of paper, none: got 'some'"),
        ({"num_proc": -1}, "num_proc must be a whole number of processes"),
        ({"num_proc": True}, "num_proc must be a whole number of processes"),
        ({"dataset_name": "iemocap"}, "expected kemdy19, kemdy20 or kemdy19-kemdy20"),
        ({"json": True}, "expected --json=PATH"),
        ({"json": "."}, "is a folder"),
    ],
)
def test_an_argument_out_of_range_ends_with_three_and_a_message(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        commands.corpus(**arguments)
    assert stop.value.code == 3
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["corpus", "environment"])
def test_the_help_states_the_exit_codes(command, capsys):
    with pytest.raises(SystemExit) as stop:
        front_door(["doctor", command, "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr()
    said = " ".join((printed.out + printed.err).split())
    assert "0 sound, 1 look first (warnings), 2 do not start (problems), 3 an argument out of its range" in said
    assert "verbose" in said


@pytest.mark.parametrize("arguments", [["corpsu"], ["corpus", "--rot=data"], ["corpus", "--exclude=some"]])
def test_wrong_arguments_are_not_taken_for_a_problem_of_the_corpus(arguments):
    with pytest.raises(SystemExit) as stop:
        front_door(["doctor", *arguments])
    assert stop.value.code == 3


def test_environment_takes_a_plan_and_refuses_a_wrong_one(monkeypatch, capsys):
    plans = []
    monkeypatch.setattr(commands, "diagnose_environment", lambda **given: plans.append(given["plan"]) or [])
    with pytest.raises(SystemExit) as stop:
        commands.environment(cells=1, batch_size=2, launcher="local", jobs=2)
    assert stop.value.code == 0 and plans == [Plan(cells=1, batch_size=2, launcher="local", jobs=2)]
    with pytest.raises(SystemExit) as stop:
        commands.environment(cells=0)
    assert stop.value.code == 3 and "cells must be" in capsys.readouterr().err


@pytest.mark.slow
def test_both_commands_run_as_processes(corpora, spoilt, tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        return run_program("-m", "fire", "erc.doctor", *arguments)

    good = run("corpus", f"--root={corpora}", f"--json={tmp_path / 'good.json'}")
    bad = run("corpus", f"--root={spoilt[0]}", f"--json={tmp_path / 'bad.json'}")
    here = run("environment", f"--json={tmp_path / 'here.json'}")
    assert (good.returncode, bad.returncode) == (0, 2), good.stdout + good.stderr + bad.stderr
    assert "Reading kemdy19" in good.stderr and "Traceback" not in good.stderr + bad.stderr + here.stderr
    for process, name in ((good, "good"), (bad, "bad"), (here, "here")):
        content = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        assert process.returncode == content["exit_code"]
    assert {finding["name"] for finding in content["findings"]} == set(findings.ENVIRONMENT_NAMES)
