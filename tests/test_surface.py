"""The public surface, as a literal: a difference here is a product decision."""

from __future__ import annotations

from typing import get_args

from nameplate import records
from nameplate.compare.results import Bearing
from nameplate.models.prompts import PROMPTS
from nameplate.predict.results import PREDICTED, PredictSummary
from nameplate.recipe import PRESETS as POLICY_PRESETS
from nameplate.recipe import (
    BudgetSection,
    ComponentPolicy,
    ExamplesSection,
    GuardSection,
    LanguagePolicy,
    MemorySection,
    OptimizerName,
    OptimizerSection,
    Recipe,
    Section,
    TeacherSection,
    UnnamedSection,
)
from nameplate.stages.audit.results import AuditReason, AuditVerdict, TextFlag
from nameplate.stages.ingest import PRESETS
from nameplate.stages.ingest.presets import Concern, TextRule
from nameplate.stages.leaks.results import LeakKind
from nameplate.stages.leaks.results import Level as LeakLevel
from nameplate.stages.probe.results import Advice, Baseline, Level, Reason
from nameplate.sweep.results import FailureKind, Standing
from nameplate.sweep.sections import MatrixSection, Sweep
from nameplate.teacher.faults import Fault

FIELDS = {
    "table": "source preset id image image_root title text code category page null_values limit",
    "name": "column registry",
    "store": "",
    "fetch": (
        "clocks image max_bytes concurrency per_host max_attempts allow_networks permitted_hosts referer "
        "placeholder_min_products keep_failures_days user_agent"
    ),
    "caption": ("preset teacher sampling budget source template prompt attributes image_longest_side"),
    "clean": (
        "language require_name min_words max_words loop_min_repeats ngram_cover few_words counting foreign_letters "
        "shared_by"
    ),
    "split": "min_per_name validation test code_prefix near_bits seed",
    "model": "base max_tiles",
    "train": (
        "preset vision projector language optimizer examples memory epochs checkpoint_every_epochs keep batch_size seed"
    ),
    "score": (
        "prompts headline select_on batch_size max_new_tokens closed_set test train_rows average_last guards server"
    ),
    "report": "title gallery gallery_validation max_bytes",
}

CODES = {
    "IngestReason": "missing_name missing_image missing_file file_blocked duplicate_id malformed",
    "FetchStatus": (
        "ok missing_url bad_url scheme_blocked address_blocked dns_error connect_error tls_error timeout "
        "http_404 http_410 http_403 http_429 http_4xx http_5xx redirect_loop opted_out robots_disallowed "
        "too_many_bytes truncated not_an_image decode_error too_many_pixels too_small bad_aspect blank placeholder"
    ),
    "CaptionReason": "no_answer bad_format",
    "CleanReason": (
        "empty refusal leaked wrapped garbled mojibake tail_loop inner_loop sentence_repeat ngram_cover few_words "
        "counting word_salad wrong_script wrong_language no_whole_sentence too_short too_long name_absent "
        "name_ambiguous other_name shared_text"
    ),
    "Repair": (
        "fixed_encoding unwrapped collapsed_whitespace trimmed_to_sentence dropped_repeated_sentence canonical_name"
    ),
    "NameVerdict": "exact case_variant diacritic_variant alias ambiguous other_name absent",
    "SplitReason": "rare_name",
}

PRESET_NAMES = (
    "dbq dbq-bottega-us dbq-burberry-uae dbq-gucci-au dbq-matches-fr dbq-mytheresa-fr conceptual-captions coyo-hd "
    "humancaption-hq pixmo-cap pokemon-cards text-to-image-2m groundcap amazon-vlm takara-captions appleflair-blip "
    "cool-images manfaclens antzet-clothes"
)


def test_presets() -> None:
    assert " ".join(PRESETS) == PRESET_NAMES
    assert " ".join(TextRule) == "strip_tags undouble_quotes drop_none"
    assert " ".join(Concern) == "non_commercial share_alike no_derivatives unknown"


def test_recipe_fields() -> None:
    found = {}
    for name, field in Recipe.model_fields.items():
        section = field.annotation
        is_section = isinstance(section, type) and issubclass(section, Section)
        found[name] = " ".join(section.model_fields) if is_section else ""  # type: ignore[union-attr]  # is_section
    assert found == FIELDS


def test_teacher_fields() -> None:
    fields = "base_urls model api_key_env timeout_seconds concurrency max_attempts reading stop_bad_share"
    assert " ".join(TeacherSection.model_fields) == fields
    assert " ".join(BudgetSection.model_fields) == "max_tokens max_money price_per_million_in price_per_million_out"
    faults = "unreachable timed_out dropped busy broken unreadable refused fatal"
    assert " ".join(Fault) == faults


def test_policy_fields_and_presets() -> None:
    of_component = "mode lr weight_decay layer_decay num_layers layers rank alpha targets"
    assert " ".join(ComponentPolicy.model_fields) == of_component
    assert " ".join(LanguagePolicy.model_fields) == f"{of_component} embeddings head"
    memory = "weights checkpointing quantise attention micro_batch_size packing prefix prefix_max_bytes compile"
    assert " ".join(MemorySection.model_fields) == memory
    rates = "name betas epsilon rank update_interval warmup_share max_grad_norm ema_decay"
    assert " ".join(OptimizerSection.model_fields) == rates
    examples = "name_question_share question_answer_share balance weighting name_weight augment unnamed"
    assert " ".join(ExamplesSection.model_fields) == examples
    assert " ".join(UnnamedSection.model_fields) == "images share answer"
    assert get_args(OptimizerName) == ("adamw", "apollo", "apollo_mini", "muon", "adamw_8bit")
    assert " ".join(POLICY_PRESETS) == "frozen-language frozen-vision projector-only recommended everything"


def test_reason_codes() -> None:
    assert {name: " ".join(getattr(records, name)) for name in CODES} == CODES


def test_stages() -> None:
    assert records.STAGES == ("ingest", "fetch", "caption", "clean", "split", "train", "score", "report")


def test_prompts() -> None:
    assert PROMPTS == {
        "short": "Describe this product in one sentence.",
        "detail": "Describe this product in detail.",
        "name": "Which brand is this product?",
    }


def test_what_an_audit_may_say() -> None:
    assert " ".join(AuditVerdict) == "worth_teaching only_the_name do_not_train inconclusive"
    assert " ".join(AuditReason) == (
        "too_few_rows names_unknown_to_base captions_say_more judge_prefers_captions captions_contradicted "
        "captions_ignore_image captions_alike base_says_more base_says_the_same captions_add_nothing judge_prefers_base"
    )
    assert " ".join(TextFlag) == (
        "cut_off refusal repeats leaked wrong_language link_or_price unseeable near_duplicate"
    )


def test_what_a_leak_audit_may_find() -> None:
    assert " ".join(LeakKind) == "image source_image group product_code page near_image caption title near_caption"
    assert get_args(LeakLevel) == ("leak", "suspicion")


def test_guard_fields() -> None:
    assert " ".join(GuardSection.model_fields) == "rows columns unnamed"


def test_what_a_probe_may_say() -> None:
    assert " ".join(get_args(Bearing)) == "borne_out contradicted cannot_tell untested no_advice"
    assert " ".join(Advice) == "thaw_language thaw_projector thaw_vision little_to_gain cannot_tell"
    assert " ".join(Reason) == (
        "too_few_rows eye_separates eye_poor eye_unclear projector_keeps projector_loses projector_unclear "
        "language_says language_loses language_unclear not_at_answer at_answer_unsaid at_ceiling answers_blindly "
        "more_rows_help more_resolution few_per_name view_missing"
    )
    assert " ".join(Baseline) == "majority text_only blank text_in_image says closed closed_less_prior"
    assert " ".join(Level) == "eye projector answer says"


def test_what_predicting_writes() -> None:
    assert " ".join(PREDICTED.names) == ("path answer name verdict confidence name_confidence finish reason detail")
    assert " ".join(PredictSummary.model_fields) == (
        "checkpoint weights prompt names images answered computed cut_off verdicts reasons left_out seconds "
        "images_per_second"
    )


def test_what_a_sweep_takes_and_says() -> None:
    assert " ".join(Sweep.model_fields) == "recipe title reference seeds shared members matrix"
    assert [field.alias or name for name, field in MatrixSection.model_fields.items()] == ["axes", "except"]
    assert " ".join(Standing) == "waiting done failed"
    assert " ".join(FailureKind) == "error out_of_memory killed crash"
