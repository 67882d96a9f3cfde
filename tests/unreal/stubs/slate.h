// The same of Slate and the editor's tabs.
#pragma once
#include "objects.h"

class SWidget;
template <class T> class TAttribute { public: TAttribute(); TAttribute(const T&); };
#define SNew(Type) StubDeclaration<Type>() <<= Type::FArguments()
#define STUB_ARGUMENT(Self, Type, Name) Self& Name(const Type&) { return *this; }
#define SLATE_BEGIN_ARGS(Type) public: struct FArguments { FArguments()
#define SLATE_END_ARGS() };
enum class EActiveTimerReturnType : uint8 { Stop, Continue };
typedef TDelegate<EActiveTimerReturnType(double, float)> FWidgetActiveTimerDelegate;
class FActiveTimerHandle;
class SWidget { public: virtual ~SWidget(); protected: TSharedRef<FActiveTimerHandle> RegisterActiveTimer(float, FWidgetActiveTimerDelegate); };
template <class W> struct StubDeclaration { TSharedRef<W> operator<<=(const typename W::FArguments&) const { return TSharedRef<W>(new W()); } };
class SCompoundWidget : public SWidget { protected: struct FChildSlot { FChildSlot& operator[](const TSharedRef<SWidget>&); } ChildSlot; };
struct FSlateBrush { void SetResourceObject(UObject*); FVector2D ImageSize; };
struct FMargin { FMargin(float); };
class SImage : public SWidget { public: struct FArguments { FArguments& Image(const FSlateBrush*) { return *this; } }; };
namespace EStretch { enum Type { ScaleToFit }; }
class SScaleBox : public SWidget { public: struct FArguments { FArguments& Stretch(EStretch::Type) { return *this; } FArguments& operator[](const TSharedRef<SWidget>&) { return *this; } }; };
class STextBlock : public SWidget { public: struct FArguments { template <class U> FArguments& Text(const U*, FText (U::*)() const) { return *this; } }; };
template <class Self> struct StubSlot { Self& Padding(FMargin) { return static_cast<Self&>(*this); } Self& operator[](const TSharedRef<SWidget>&) { return static_cast<Self&>(*this); } };
class SHorizontalBox : public SWidget { public: struct FArguments {}; struct FSlotArguments : StubSlot<FSlotArguments> {}; FSlotArguments AddSlot(); };
class SVerticalBox : public SWidget { public: struct FSlotArguments : StubSlot<FSlotArguments> { FSlotArguments& AutoHeight() { return *this; } };
	struct FArguments { FArguments& operator+(FSlotArguments&) { return *this; } FArguments& operator+(FSlotArguments&&) { return *this; } }; static FSlotArguments Slot(); };
enum ETabRole : uint8 { MajorTab, NomadTab };
class SDockTab : public SWidget { public: struct FArguments { FArguments& TabRole(ETabRole) { return *this; } FArguments& operator[](const TSharedRef<SWidget>&) { return *this; } }; };
class FSpawnTabArgs;
typedef TDelegate<TSharedRef<SDockTab>(const FSpawnTabArgs&)> FOnSpawnTab;
class FWorkspaceItem;
struct FTabSpawnerEntry { FTabSpawnerEntry& SetDisplayName(const TAttribute<FText>&); FTabSpawnerEntry& SetTooltipText(const TAttribute<FText>&); FTabSpawnerEntry& SetGroup(const TSharedRef<FWorkspaceItem>&); };
class FGlobalTabmanager { public: static const TSharedRef<FGlobalTabmanager>& Get(); FTabSpawnerEntry& RegisterNomadTabSpawner(const FName, const FOnSpawnTab&); void UnregisterNomadTabSpawner(const FName); };
class IWorkspaceMenuStructure { public: virtual ~IWorkspaceMenuStructure(); virtual TSharedRef<FWorkspaceItem> GetToolsCategory() const = 0; };
namespace WorkspaceMenu { IWorkspaceMenuStructure& GetMenuStructure(); }
