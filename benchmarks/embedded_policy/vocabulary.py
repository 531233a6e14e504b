"""Giving trained weights another tokenizer: tokens that both know keep their vectors."""

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def with_vocabulary(
    model: LlamaForCausalLM, old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast
) -> LlamaForCausalLM:
    """Return the model with a vector for each token of ``new``.

    A token that ``old`` lacks starts from the mean of the pieces that ``old`` cuts it into.
    """
    known, before = old.get_vocab(), model.get_input_embeddings().weight.detach().clone()
    model.resize_token_embeddings(-(-len(new) // 64) * 64, mean_resizing=False)
    vectors = model.get_input_embeddings().weight
    with torch.no_grad():
        vectors[len(new) :] = 0
        for token, place in new.get_vocab().items():
            text = new.decode([place])
            pieces = [known[token]] if token in known else old.encode(text) or [old.eos_token_id]
            vectors[place] = before[pieces].mean(dim=0)
    model.config.eos_token_id = model.config.pad_token_id = new.eos_token_id
    return model
