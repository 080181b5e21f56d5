"""The real network: what is read, how words are decoded, and how accurate each datapath is on it."""

import json
import math
from importlib.util import find_spec

import numpy as np
import pytest

from golden.sequence import forward
from golden.spec.errors import ParameterError, QgruError
from quant_gru import g2p
from quant_gru.accuracy import CONFIGURATIONS, agreement, halves, measure, parameter_sets, sqnr_db
from quant_gru.build import mshift_params, pot_params
from quant_gru.errors import MissingPart
from quant_gru.g2p import decoder_batches, encode, encoder_batches, load_g2p, read_words, spell
from quant_gru.transcribe import calibrate_g2p, encode_words, float_network, integer_network, transcribe

real = pytest.mark.skipif(find_spec("g2p_en") is None, reason='g2p-en is not installed: pip install "qgru[examples]"')


@pytest.fixture(scope="module")
def model():
    return load_g2p()


@pytest.fixture(scope="module")
def calibrated(model):
    return calibrate_g2p(model, halves(model.words)[0])


def say(model, words):
    return transcribe(model, words, float_network(model.encoder), float_network(model.decoder))


def test_agreement_counts_edits_over_the_length_of_the_reference():
    assert agreement([[1, 2, 3], [4]], [[1, 9], [4]]) == 2 / 4  # a substitution and a deletion
    assert agreement([[1, 2]], [[1, 2]]) == 1
    assert agreement([[1, 2]], [[2, 1, 2, 2]]) == 0  # two insertions
    assert agreement([[1, 2, 3, 4]], [[2, 3, 4]]) == 3 / 4  # one deletion, not four wrong positions
    assert agreement([[]], [[]]) == 1
    assert agreement([[]], [[5]]) == -math.inf
    with pytest.raises(ValueError):
        agreement([[1]], [])


def test_sqnr_by_hand():
    assert sqnr_db([np.array([10.0, 0.0])], [np.array([10.0, 1.0])]) == 20
    assert sqnr_db([np.array([1.0])], [np.array([1.0])]) == float("inf")
    assert sqnr_db([np.array([0.0])], [np.array([1.0])]) == float("-inf")


def test_the_first_half_calibrates():
    assert halves(("a", "b", "c", "d", "e")) == (("a", "b", "c"), ("d", "e"))


def test_letters():
    assert encode("az") == [3, 28, 2]
    assert encode("a'b") == [3, 1, 4, 2]


def test_words_of_a_list(tmp_path):
    (tmp_path / "w").write_text("# no|word\n\nUSE|Y|Y|V\nAbuse|A|B|V\nuse|Y|Y|N\n", encoding="utf-8")
    assert read_words(tmp_path / "w") == ("use", "abuse")
    (tmp_path / "w").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="w is without words"):
        read_words(tmp_path / "w")
    (tmp_path / "w").write_bytes(b"use|\xff\n")
    with pytest.raises(ParameterError, match="^w is damaged \\(byte 4 is no UTF-8\\), expected text of lines"):
        read_words(tmp_path / "w")


def test_without_the_package_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(g2p, "find_spec", lambda name: None)
    with pytest.raises(MissingPart) as error:
        load_g2p()
    assert isinstance(error.value, QgruError)
    assert str(error.value) == 'g2p_en is not installed, expected it here: pip install "qgru[examples]"'


def test_a_checkpoint_without_a_decoder_is_refused(tmp_path):
    np.savez(tmp_path / "checkpoint20.npz", enc_w_ih=np.ones((3, 1), np.float32), enc_w_hh=np.ones((3, 1), np.float32))
    with pytest.raises(ParameterError, match="without dec_w_ih"):
        load_g2p(tmp_path)


@real
def test_the_network(model):
    assert (model.encoder.input_size, model.encoder.hidden_size) == (256, 256)
    assert (model.decoder.input_size, model.decoder.hidden_size) == (256, 256)
    assert (model.enc_emb.shape, model.dec_emb.shape, model.fc_w.shape) == ((29, 256), (74, 256), (74, 256))
    assert len(model.words) == len(set(model.words)) == 371
    assert model.words[:3] == ("absent", "abstract", "abstracts")


@real
def test_the_float_network_speaks(model):
    assert [" ".join(spell(p)) for p in say(model, ("use", "record", "activationist"))] == [
        "Y UW1 S",
        "R IH0 K AO1 R D",
        "AE2 K T IH0 V EY1 SH AH0 N IH0 S T",
    ]


@real
def test_batches_have_no_padding(model):
    words = ("use", "abuse", "ally", "axes")
    batches = encoder_batches(model, words)
    assert [(rows.tolist(), x.shape) for rows, x in batches] == [([0], (4, 1, 256)), ([2, 3], (5, 2, 256)), ([1], (6, 1, 256))]
    assert np.array_equal(batches[1][1][0, 1], model.enc_emb[3])  # the a of axes
    assert all(np.array_equal(x[-1, 0], model.enc_emb[2]) for _, x in batches)  # </s>
    (rows, x), (_, full) = decoder_batches(model, [[7, 8], list(range(4, 24)), [9, 9]])
    assert (rows.tolist(), x.shape, full.shape) == ([0, 2], (3, 2, 256), (20, 1, 256))
    assert np.array_equal(x[:, 0], model.dec_emb[[2, 7, 8]])


@real
def test_words_of_a_batch_do_not_disturb_each_other(model, calibrated):
    words = model.words[200:212]
    pairs = [(float_network(model.encoder), float_network(model.decoder))]
    static = [mshift_params(gru, r) for gru, r in ((model.encoder, calibrated.encoder), (model.decoder, calibrated.decoder))]
    pairs.append(tuple(integer_network(p, forward) for p in static))
    for encoder, decoder in pairs:
        together = transcribe(model, words, encoder, decoder)
        assert together == [transcribe(model, [w], encoder, decoder)[0] for w in words]


@real
def test_calibration_covers_encoder_and_decoder_apart(model, calibrated):
    assert calibrated.phonemes == say(model, halves(model.words)[0])
    assert calibrated.encoder["input.x"][1] == float(model.enc_emb[3:].max())
    assert calibrated.decoder["input.x"] != calibrated.encoder["input.x"]
    last = encode_words(model, halves(model.words)[0], float_network(model.encoder))
    assert calibrated.decoder["input.h"][0] <= last.min()


# Reached with the first half of the words as calibration: 98.5, 99.9, 99.8, 99.5 %.  Near-ties of the float network decide the
# rest: at "documents" its two best phonemes are 0.013 apart, at "uplift" 0.016, and a wrong one changes what follows.
TARGETS = {"pot 8 bit": 0.975, "pot 16 bit": 0.999, "mshift 8 bit": 0.99, "mshift 8 bit dynamic": 0.985}
DECIBELS = {"pot 8 bit": 22, "pot 16 bit": 48, "mshift 8 bit": 32, "mshift 8 bit dynamic": 32}


@real
@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_accuracy(model, calibrated, name, record_property):
    found = measure(model, halves(model.words)[1], *parameter_sets(model, calibrated, name), forward)
    record_property("accuracy", json.dumps(vars(found)))
    assert found.phonemes >= TARGETS[name]
    assert min(found.encoder_db, found.decoder_db) >= DECIBELS[name]


@real
@pytest.mark.slow
def test_quadratic_tables_lose_no_phoneme_at_16_bits(model, calibrated):
    sets = [
        pot_params(gru, r, 16, activation="piecewise_quadratic")
        for gru, r in ((model.encoder, calibrated.encoder), (model.decoder, calibrated.decoder))
    ]
    found = measure(model, halves(model.words)[1], *sets, forward)
    assert found.phonemes == 1
    assert min(found.encoder_db, found.decoder_db) >= 65


@real
@pytest.mark.slow
def test_the_table_domain_of_the_source_document_is_too_narrow(model, calibrated):
    scales = (1 / 128,) * 3
    sets = [
        mshift_params(gru, r, gate_scales=scales)
        for gru, r in ((model.encoder, calibrated.encoder), (model.decoder, calibrated.decoder))
    ]
    assert measure(model, halves(model.words)[1], *sets, forward).phonemes < 0.3
