"""Aligns any image tower with any transcriptome tower: features kept, heads fitted, the result a space folder.

| module | holds |
| --- | --- |
| `tower_recipe` | the settings of a run |
| `image_towers`, `text_towers` | frozen towers by name |
| `seen_sections`, `feature_cache` | sections turned into features, kept on disk by their digest |
| `heads` | the learned maps, in NumPy for search and in torch for training |
| `gene_inputs`, `expression_views` | genes or sentences as inputs of the expression head |
| `start`, `fitting`, `image_views` | closed-form start, training by contrast, where its batches of images come from |
| `augmentation`, `tuning` | patches turned, mirrored and re-stained; training of the image tower itself |
| `tower_encoders`, `tower_files` | the encoders of such a space, and its folder |
| `run` | all of it in one call: `align_towers` |
"""

from encoders.trainer.tower_recipe import TowerRecipe

__all__ = ["TowerRecipe"]
