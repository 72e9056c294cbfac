"""The page's own Gradio theme, light and dark: colors, fonts, sizes of buttons and inputs. `launch` needs it."""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils import colors, fonts, sizes

LAGOON = colors.Color(
    c50="#edf7f6", c100="#d5ecea", c200="#abd8d4", c300="#7cc3bd", c400="#45a8a0", c500="#128a82",
    c600="#0b6e69", c700="#095854", c800="#084644", c900="#073835", c950="#042423", name="lagoon",
)  # fmt: skip
SLATE = colors.Color(
    c50="#f6f8f8", c100="#edf1f1", c200="#dbe3e4", c300="#bccacd", c400="#84979d", c500="#5f747b",
    c600="#51636b", c700="#33454b", c800="#1d2a2e", c900="#121b1e", c950="#0b1214", name="slate",
)  # fmt: skip


def theme() -> gr.Theme:
    """Return the theme, to be passed to `launch`."""
    sans = (fonts.LocalFont("IBM Plex Sans", weights=(400, 700)), "ui-sans-serif", "system-ui", "sans-serif")
    mono = (fonts.LocalFont("IBM Plex Mono", weights=(400, 500)), "ui-monospace", "Menlo", "monospace")
    base = gr.themes.Base(
        primary_hue=LAGOON, secondary_hue=LAGOON, neutral_hue=SLATE, font=sans, font_mono=mono,
        radius_size=sizes.radius_md, spacing_size=sizes.spacing_md, text_size=sizes.text_md,
    )  # fmt: skip
    return base.set(**_surfaces(), **_buttons(), **_inputs())


def _surfaces() -> dict[str, str]:
    return {
        "body_background_fill": "*neutral_50",
        "body_background_fill_dark": "*neutral_950",
        "body_text_color": "#15242b",
        "body_text_color_dark": "#e6eeee",
        "body_text_color_subdued": "*neutral_600",
        "body_text_color_subdued_dark": "#9db0b5",
        "background_fill_primary": "white",
        "background_fill_primary_dark": "*neutral_900",
        "background_fill_secondary": "*neutral_50",
        "background_fill_secondary_dark": "#0e1619",
        "border_color_primary": "*neutral_200",
        "border_color_primary_dark": "#263539",
        "block_background_fill": "transparent",
        "block_background_fill_dark": "transparent",
        "block_border_width": "0px",
        "block_border_width_dark": "0px",
        "block_shadow": "none",
        "block_shadow_dark": "none",
        "block_padding": "0px",
        "block_label_text_color": "*neutral_600",
        "block_label_text_color_dark": "#9db0b5",
        "block_title_text_weight": "600",
        "block_title_text_color": "*body_text_color",
        "block_title_text_color_dark": "*body_text_color",
        "block_info_text_color": "*neutral_600",
        "block_info_text_color_dark": "#9db0b5",
        "link_text_color": "*primary_600",
        "link_text_color_dark": "*primary_400",
    }


def _buttons() -> dict[str, str]:
    return {
        "button_border_width": "1px",
        "button_large_radius": "10px",
        "button_small_radius": "8px",
        "button_large_text_weight": "600",
        "button_primary_background_fill": "*primary_600",
        "button_primary_background_fill_hover": "*primary_700",
        "button_primary_border_color": "*primary_600",
        "button_primary_border_color_dark": "*primary_300",
        "button_primary_text_color": "white",
        "button_primary_background_fill_dark": "*primary_300",
        "button_primary_background_fill_hover_dark": "*primary_200",
        "button_primary_text_color_dark": "#042423",
        "button_secondary_background_fill": "white",
        "button_secondary_background_fill_hover": "*neutral_100",
        "button_secondary_background_fill_dark": "*neutral_800",
        "button_secondary_background_fill_hover_dark": "*neutral_700",
        "button_secondary_border_color": "*neutral_200",
        "button_secondary_border_color_dark": "#33454b",
        "button_secondary_text_color": "*body_text_color",
        "button_secondary_text_color_dark": "*body_text_color",
    }


def _inputs() -> dict[str, str]:
    return {
        "input_background_fill": "white",
        "input_background_fill_dark": "#0e1619",
        "input_border_color": "*neutral_300",
        "input_border_color_dark": "#33454b",
        "input_border_color_focus": "*primary_500",
        "input_border_color_focus_dark": "*primary_400",
        "input_placeholder_color": "*neutral_500",
        "input_placeholder_color_dark": "#82959b",
        "input_border_width": "1px",
        "input_shadow": "none",
        "input_radius": "8px",
        "checkbox_label_background_fill": "white",
        "checkbox_label_background_fill_dark": "#0e1619",
        "checkbox_label_border_color": "*neutral_200",
        "checkbox_label_border_color_dark": "#263539",
        "checkbox_label_border_width": "1px",
        "checkbox_label_padding": "6px 10px",
        "checkbox_label_background_fill_selected": "*primary_50",
        "checkbox_label_background_fill_selected_dark": "#0f2c2b",
        "checkbox_label_text_color_selected": "*body_text_color",
        "checkbox_label_text_color_selected_dark": "*body_text_color",
        "checkbox_background_color_selected": "*primary_600",
        "checkbox_border_color_selected": "*primary_600",
    }
