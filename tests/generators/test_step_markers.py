"""Step markers as models write them, in many languages: each text is two steps."""

import pytest

from stepforge.generators.segmenters import StepMarker

TWO_STEPS = (
    "Step 1: a\nStep 2: b", "Step 1. a\nStep 2. b", "Step 1) a\nStep 2) b", "Step 1 - a\nStep 2 \u2013 b",
    "Step 1\na\nStep 2\nb", "Step 1 Add them\nStep 2 Halve them", "STEP 1: a\nstep 2: b",
    "Step 1/2: a\nStep 2 of 2: b", "Step one: a\nStep two: b", "Step I: a\nStep II: b",
    "First step: a\nSecond step: b", "1st step: a\n2nd step: b", "Step 1 (setup): a\nStep 2 (the sum): b",
    "Step 1：a\nStep 2：b", "Step１：a\nStep２：b", "**Step 1**: a\n**Step 2**: b", "**Step 1:** a\n**Step 2:** b",
    "**Step 1** a\n**Step 2** b", "**Step 1. Set up**\na\n**Step 2. Solve**\nb", "__Step 1__\na\n__Step 2__\nb",
    "### Step 1 a\n### Step 2 b", "### Step 1: a\n\n### Step 2: b", "## **Step 1:** a\n## **Step 2:** b",
    "* **Step 1:** a\n* **Step 2:** b", "- Step 1: a\n- Step 2: b", "> Step 1: a\n> Step 2: b",
    "1. **Step 1:** a\n2. **Step 2:** b", "[Step 1] a\n[Step 2] b", "(Step 1) a\n(Step 2) b",
    r"\textbf{Step 1:} a" + "\n" + r"\textbf{Step 2:} b", r"\section*{Step 1} a" + "\n" + r"\section*{Step 2} b",
    r"\item \textbf{Step 1:} a" + "\n" + r"\item \textbf{Step 2:} b", "Step 1: a\r\nStep 2: b",
    "Step 1\r\na\r\nStep 2\r\nb", "1. a\n2. b", "1) a\n2) b", "(1) a\n(2) b", "**1.** a\n**2.** b",
    "**1. Set up**\n  1. not a step\n  2. nor this\n**2. Solve**", "### 1. a\n### 2. b", "3. a\n4. b", "1、a\n2、b",
    "第一步：a\n第二步：b", "第1步，a\n第2步，b", "步骤1：a\n步骤2：b", "步骤 1. a\n步骤 2. b",
    "**步骤一：** a\n**步骤二：** b", "步驟1：a\n步驟2：b", "ステップ1：a\nステップ2：b", "手順1：a\n手順2：b",
    "第1段階：a\n第2段階：b", "1단계: a\n2단계: b", "단계 1: a\n단계 2: b", "Étape 1 : a\nÉtape 2 : b",
    "**Étape n°1** a\n**Étape n°2** b", "Première étape : a\nDeuxième étape : b", "Schritt 1: a\nSchritt 2: b",
    "1. Schritt: a\n2. Schritt: b", "Paso 1: a\nPaso 2: b", "Passo 1: a\nPasso 2: b",
    "Passaggio 1: a\nPassaggio 2: b", "Stap 1: a\nStap 2: b", "Steg 1: a\nSteg 2: b", "Krok 1: a\nKrok 2: b",
    "Lépés 1: a\nLépés 2: b", "1. lépés: a\n2. lépés: b", "Adım 1: a\nAdım 2: b", "Langkah 1: a\nLangkah 2: b",
    "Bước 1: a\nBước 2: b", "Шаг 1: a\nШаг 2: b", "Шаг 1. a\nШаг 2. b", "Первый шаг: a\nВторой шаг: b",
    "Крок 1: a\nКрок 2: b", "Βήμα 1: a\nΒήμα 2: b", "الخطوة 1: a\nالخطوة 2: b", "الخطوة ١: a\nالخطوة ٢: b",
    "שלב 1: a\nשלב 2: b", "चरण 1: a\nचरण 2: b", "ขั้นตอนที่ 1: a\nขั้นตอนที่ 2: b", "First, a is 3.5. Second, b.",
    "First, add (3 and 4.) Secondly, b", "First we add.\n\nSecond, we halve.", "**First,** a.\n**Second,** b.",
    "- First, a\n- Third, b", "Erstens, a.\nZweitens, b.", "Во-первых, a. Во-вторых, b.", "首先，a。其次，b。",
)  # fmt: skip


@pytest.mark.parametrize("text", TWO_STEPS)
def test_two_steps(text: str) -> None:
    pieces = StepMarker()(text)
    assert len(pieces) == 2
    assert "".join(pieces) == text
    opened = StepMarker()(f"Let us see.\n{text}")
    assert opened == (f"Let us see.\n{pieces[0]}", pieces[1])


@pytest.mark.parametrize(
    "text",
    [
        "Step 1: a\nIn Step 2 we add.\nStep 2 gives 3.",
        "Step 1: a\n1. one\n2. two",
        "Steps 1: a\nStep 1.5 is\nStepone: b",
        "1.5 is more\n2.5 is less",
        "2. a\n1. b",
        "footsteps 1: a\nfootsteps 2: b",
        "Step 1: a\n```\nStep 2: in code\n```",
        "First, a, and second, b. Then c.",
        "First term is 3. Second term is 5. Then we add.",
        "First, a. Then b. Finally, c.",
        "First, a.\n```\nSecond, in code\n```",
        "\\begin{align}\nFirst, x\\\\\nSecond, y\n\\end{align}",
    ],
)
def test_one_step(text: str) -> None:
    assert StepMarker()(text) == (text,)


def test_next_and_finally_open_steps_among_numbered_ones() -> None:
    text = "Look. First, add 3. Second, we halve it, then wait. Next we check.\nThen $x = 2$. Finally, 7."
    assert StepMarker()(text) == (
        "Look. First, add 3.",
        " Second, we halve it, then wait.",
        " Next we check.\n",
        "Then $x = 2$.",
        " Finally, 7.",
    )
